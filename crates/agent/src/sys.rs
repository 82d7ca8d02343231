//! The few system calls that the standard library lacks, each behind a safe function with an
//! [`io::Result`]. Everything unsafe of the crate that is not here is an aligned buffer.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
use std::path::Path;

/// `kexec_file_load` has no constant in libc for every target.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: libc::c_long = 320;
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: libc::c_long = 294;

/// How to end the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Restart through the firmware.
    Reboot,
    /// Switch off.
    PowerOff,
    /// Jump into the loaded kernel.
    Kexec,
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

fn c_text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(io::Error::from)
}

/// `mount(2)`.
pub fn mount(source: &str, target: &Path, kind: &str, flags: u64, options: &str) -> io::Result<()> {
    let (source, target) = (c_text(source)?, c_path(target)?);
    let (kind, options) = (c_text(kind)?, c_text(options)?);
    // SAFETY: all four are NUL-terminated and live through the call.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags as libc::c_ulong,
            options.as_ptr().cast(),
        )
    };
    check(result.into()).map(drop)
}

/// `umount2(2)`, lazily if asked for.
pub fn unmount(target: &Path, flags: i32) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: NUL-terminated path.
    check(unsafe { libc::umount2(target.as_ptr(), flags) }.into()).map(drop)
}

/// Writes everything dirty to its device.
pub fn sync() {
    // SAFETY: no arguments.
    unsafe { libc::sync() };
}

/// Ends the machine; returns only on failure.
pub fn end_machine(end: End) -> io::Error {
    const KEXEC: libc::c_int = 0x4558_4543;
    let command = match end {
        End::Reboot => libc::RB_AUTOBOOT,
        End::PowerOff => libc::RB_POWER_OFF,
        End::Kexec => KEXEC,
    };
    // SAFETY: no memory is passed.
    unsafe { libc::reboot(command) };
    io::Error::last_os_error()
}

/// Stops the keyboard from restarting the machine at once: PID 1 gets a signal instead.
pub fn disable_ctrl_alt_del() {
    // SAFETY: no memory is passed.
    unsafe { libc::reboot(libc::RB_DISABLE_CAD) };
}

/// Loads a kernel for [`End::Kexec`] (kexec_file_load(2)).
pub fn kexec_file_load(kernel: &File, initrd: Option<&File>, cmdline: &str) -> io::Result<()> {
    const NO_INITRAMFS: libc::c_long = 4;
    let cmdline = c_text(cmdline)?;
    let flags = if initrd.is_none() { NO_INITRAMFS } else { 0 };
    let initrd = initrd.map_or(-1, AsRawFd::as_raw_fd);
    // SAFETY: the command line lives through the call and its length counts the NUL.
    let result = unsafe {
        libc::syscall(
            KEXEC_FILE_LOAD,
            kernel.as_raw_fd() as libc::c_long,
            libc::c_long::from(initrd),
            cmdline.as_bytes_with_nul().len() as libc::c_long,
            cmdline.as_ptr(),
            flags,
        )
    };
    check(result).map(drop)
}

/// Forgets the kernel that was loaded for [`End::Kexec`].
pub fn kexec_unload() -> io::Result<()> {
    const UNLOAD: libc::c_long = 1;
    let (none, nothing): (libc::c_long, libc::c_long) = (-1, 0);
    // SAFETY: with this flag the kernel looks at no other argument.
    let result = unsafe {
        libc::syscall(KEXEC_FILE_LOAD, none, none, nothing, std::ptr::null::<libc::c_char>(), UNLOAD)
    };
    check(result).map(drop)
}

/// A file in memory, without a name that others could know (memfd_create(2)).
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a static NUL-terminated text.
    let fd = check(unsafe { libc::memfd_create(c"gantry".as_ptr(), libc::MFD_CLOEXEC) }.into())?;
    // SAFETY: the descriptor is new and nobody else's; it fits, for the call returned an int.
    Ok(unsafe { File::from_raw_fd(fd as RawFd) })
}

/// The same file from its beginning, for reading. The system loads no kernel that somebody may still write to: close `file`.
pub fn read_only(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Loads a kernel module from a file; `compressed` asks the kernel to unpack it.
pub fn finit_module(file: &File, compressed: bool) -> io::Result<()> {
    const COMPRESSED_FILE: libc::c_int = 4;
    let flags = if compressed { COMPRESSED_FILE } else { 0 };
    // SAFETY: the parameter string is a static NUL-terminated text.
    let result = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), flags) };
    check(result).map(drop)
}

/// Loads a kernel module from memory.
pub fn init_module(image: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are of one slice; the parameter string is static.
    let result = unsafe { libc::syscall(libc::SYS_init_module, image.as_ptr(), image.len(), c"".as_ptr()) };
    check(result).map(drop)
}

/// Release of the running kernel, `uname -r`.
pub fn kernel_release() -> String {
    // SAFETY: utsname is plain bytes, filled by uname with NUL-terminated texts.
    unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        CStr::from_ptr(name.release.as_ptr()).to_string_lossy().into_owned()
    }
}

/// Sets the host name.
pub fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length are of one slice.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into()).map(drop)
}

/// Sets the wall clock, in seconds since 1970.
pub fn set_clock(seconds: i64) -> io::Result<()> {
    // SAFETY: timeval is plain numbers, and zeroed is a valid value of it on every libc.
    let mut time: libc::timeval = unsafe { std::mem::zeroed() };
    time.tv_sec = seconds;
    // SAFETY: the structure lives through the call; no time zone is passed.
    check(unsafe { libc::settimeofday(&raw const time, std::ptr::null()) }.into()).map(drop)
}

/// A child that ended, as seen by [`reap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its process id.
    pub pid: i32,
    /// Exit code, or `None` after a signal.
    pub code: Option<i32>,
}

/// Waits for any child. `Ok(None)`: there is none to wait for now.
pub fn reap(block: bool) -> io::Result<Option<Ended>> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    // SAFETY: status lives through the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    if pid < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD | libc::EINTR) => Ok(None),
            _ => Err(error),
        };
    }
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    Ok((pid > 0).then_some(Ended { pid, code }))
}

/// Sends a signal to a process, to a group (negative) or, with -1, to everybody.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Blocks the given signals in this thread and all that it starts later.
pub fn block_signals(signals: &[i32]) {
    // SAFETY: the set is initialised by sigemptyset before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Unblocks everything; for children between fork and exec.
pub fn unblock_all_signals() {
    // SAFETY: as above; async-signal-safe.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Waits for one of the given, blocked signals, at most `millis`; `None` when none came.
pub fn wait_signal(signals: &[i32], millis: Option<u64>) -> Option<i32> {
    // SAFETY: the set is initialised before use, the timeout lives through the call.
    let got = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        match millis {
            None => libc::sigwaitinfo(&raw const set, std::ptr::null_mut()),
            Some(millis) => {
                let mut time: libc::timespec = std::mem::zeroed();
                time.tv_sec = (millis / 1000) as _;
                time.tv_nsec = ((millis % 1000) * 1_000_000) as _;
                libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time)
            }
        }
    };
    (got > 0).then_some(got)
}

/// Makes the process leader of a session of its own.
pub fn new_session() {
    // SAFETY: no memory is passed; async-signal-safe.
    unsafe { libc::setsid() };
}

/// An ioctl without argument.
pub fn ioctl_none(file: &impl AsRawFd, request: u64) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    check(unsafe { libc::ioctl(file.as_raw_fd(), request as _, 0) }.into()).map(drop)
}

/// An ioctl that reads or writes one plain value. The caller vouches for the type that `request` wants.
///
/// # Safety
/// `T` must be exactly the type that the kernel expects for `request`.
pub unsafe fn ioctl<T>(fd: RawFd, request: u64, value: &mut T) -> io::Result<()> {
    // SAFETY: by contract of this function.
    check(unsafe { libc::ioctl(fd, request as _, std::ptr::from_mut(value)) }.into()).map(drop)
}

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// Waits until one of two descriptors is ready (`poll(2)`); true when the first one's other side has gone. Of the second one
/// nothing is heard while nothing of it is wanted.
pub fn poll(pair: [(&dyn AsFd, Wanted); 2]) -> io::Result<bool> {
    let mut all = pair.map(|(file, wanted)| libc::pollfd {
        fd: file.as_fd().as_raw_fd(),
        events: if wanted.read { libc::POLLIN } else { 0 } | if wanted.write { libc::POLLOUT } else { 0 },
        revents: 0,
    });
    if all[1].events == 0 {
        // Its end would be told again and again.
        all[1].fd = -1;
    }
    // SAFETY: the array has two elements and lives through the call.
    match check(unsafe { libc::poll(all.as_mut_ptr(), 2, -1) }.into()) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(all[0].revents & (libc::POLLHUP | libc::POLLERR) != 0),
    }
}

/// Seconds since the kernel started, to hundredths, from `/proc/uptime`.
pub fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Device number of the file system that holds `path`.
pub fn device_of(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|meta| meta.dev())
}

/// Major and minor of a device number.
pub fn major_minor(device: u64) -> (u32, u32) {
    (libc::major(device) as u32, libc::minor(device) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_file_in_memory_is_read_from_its_beginning_and_not_written() {
        let mut file = memory_file().expect("memory");
        file.write_all(b"kernel").expect("write");
        let mut file = read_only(&file).expect("open");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "kernel");
        assert!(file.write_all(b"x").is_err());
    }
}
