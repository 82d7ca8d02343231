//! Many frames per system call: `recvmmsg` and `sendmmsg` on a socket whose datagrams are frames.
//!
//! Serves both kinds of ports: Unix datagram sockets (QEMU's `-netdev dgram`, wires of tests) and AF_PACKET sockets. The kernel
//! takes the 802.1Q tag out of a frame before an AF_PACKET socket sees it and reports it beside the frame (packet(7),
//! PACKET_AUXDATA); it is put back here.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use bytes::{BufMut, Bytes, BytesMut};

/// Frames per system call.
const FRAMES: usize = 64;
/// The longest frame that passes: jumbo frames with a tag.
const LONGEST: usize = 9_216;
/// Room for one control message with a `tpacket_auxdata`.
const CONTROL: usize = 64;
const ADDRESSES: usize = 12;

/// Reusable memory for receiving.
pub(crate) struct Receiver {
    frames: Vec<[u8; LONGEST]>,
    controls: Vec<Control>,
}

/// Control messages want the alignment of `cmsghdr`.
#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

impl Receiver {
    pub(crate) fn new() -> Receiver {
        Receiver { frames: vec![[0; LONGEST]; FRAMES], controls: vec![Control([0; CONTROL]); FRAMES] }
    }

    /// Receives what is there, at most 64 frames, without waiting, and hands over each frame.
    /// Frames that are too long are left out. Returns the number of datagrams received.
    ///
    /// # Errors
    /// Those of `recvmmsg`; `WouldBlock` when nothing is there.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(Bytes),
    ) -> io::Result<usize> {
        let mut vectors: Vec<libc::iovec> = self
            .frames
            .iter_mut()
            .map(|frame| libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: LONGEST })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = vectors
            .iter_mut()
            .zip(&mut self.controls)
            .map(|(vector, control)| {
                let mut header = empty_header(vector);
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL;
                header
            })
            .collect();
        // SAFETY: every header points to one iovec and one control buffer, which live until after the call and are as long as
        // they say.
        let count = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), FRAMES as u32, flags, ptr::null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (header, frame) in headers.iter().zip(&self.frames).take(count) {
            if let Some(bytes) = frame.get(..header.msg_len as usize) {
                each(restore_tag(bytes, removed_tag(&header.msg_hdr)));
            }
        }
        Ok(count)
    }
}

/// Sends as many of the frames as the socket takes without waiting, and says how many. The fate of a frame that the receiver
/// refuses (too long, interface down, nobody there) is to be counted as sent by the caller and forgotten.
///
/// # Errors
/// `WouldBlock` when the socket takes none; else the error of the first frame.
pub(crate) fn send<'a>(socket: BorrowedFd<'_>, frames: impl Iterator<Item = &'a Bytes>) -> io::Result<usize> {
    let mut vectors: Vec<libc::iovec> = frames
        .take(FRAMES)
        .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = vectors.iter_mut().map(empty_header).collect();
    // SAFETY: every header points to one iovec, whose memory is only read and outlives the call.
    let count = unsafe {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as u32, flags)
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn empty_header(vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: a header of zeroes is a valid one: no name, no data, no control messages.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

/// The tag (protocol identifier and control field) that the kernel took out, if it did.
fn removed_tag(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the header was filled in by recvmmsg; the macros stay inside its control buffer, and the data is read unaligned and
    // only if the message is long enough for it.
    let aux = unsafe {
        let message = libc::CMSG_FIRSTHDR(header).as_ref()?;
        let length = libc::CMSG_LEN(mem::size_of::<libc::tpacket_auxdata>() as u32) as usize;
        let is_aux = message.cmsg_level == libc::SOL_PACKET && message.cmsg_type == libc::PACKET_AUXDATA;
        if !is_aux || message.cmsg_len < length {
            return None;
        }
        ptr::read_unaligned(libc::CMSG_DATA(message).cast::<libc::tpacket_auxdata>())
    };
    let valid = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
    let protocol =
        if aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { aux.tp_vlan_tpid } else { 0x8100 };
    valid.then_some((protocol, aux.tp_vlan_tci))
}

fn restore_tag(frame: &[u8], tag: Option<(u16, u16)>) -> Bytes {
    let (Some((protocol, control)), true) = (tag, frame.len() >= ADDRESSES) else {
        return Bytes::copy_from_slice(frame);
    };
    let (addresses, rest) = frame.split_at(ADDRESSES);
    let mut out = BytesMut::with_capacity(frame.len() + 4);
    out.put_slice(addresses);
    out.put_u16(protocol);
    out.put_u16(control);
    out.put_slice(rest);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn frames_come_through_in_batches() {
        let (a, b) = UnixDatagram::pair().unwrap();
        let frames: Vec<Bytes> = (0..100_u8).map(|n| Bytes::from(vec![n; usize::from(n) + 1])).collect();
        let mut got = Vec::new();
        let mut receiver = Receiver::new();
        let mut sent = 0;
        while sent < frames.len() {
            sent += send(a.as_fd(), frames[sent..].iter()).unwrap();
            receiver.receive(b.as_fd(), |frame| got.push(frame)).unwrap();
        }
        assert_eq!(got, frames);
        assert_eq!(receiver.receive(b.as_fd(), |_| ()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_frame_that_is_too_long_is_left_out() {
        let (a, b) = UnixDatagram::pair().unwrap();
        a.send(&vec![0; LONGEST + 1]).unwrap();
        a.send(&vec![1; LONGEST]).unwrap();
        let mut got = Vec::new();
        assert_eq!(Receiver::new().receive(b.as_fd(), |frame| got.push(frame)).unwrap(), 2);
        assert_eq!(got, [Bytes::from(vec![1; LONGEST])]);
    }

    #[test]
    fn a_full_socket_says_so() {
        let (a, _b) = UnixDatagram::pair().unwrap();
        let frame = [Bytes::from_static(&[0; 1500])];
        let error =
            std::iter::repeat_with(|| send(a.as_fd(), frame.iter())).take(10_000).find_map(Result::err);
        assert_eq!(error.unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_tag_goes_back_behind_the_addresses() {
        let frame = [1_u8; 14];
        let restored = restore_tag(&frame, Some((0x8100, 77)));
        assert_eq!(restored[10..18], [1, 1, 0x81, 0, 0, 77, 1, 1]);
        assert_eq!(restore_tag(&frame, None), frame[..]);
        assert_eq!(restore_tag(&[1; 3], Some((0x8100, 77))), [1; 3][..]);
    }
}
