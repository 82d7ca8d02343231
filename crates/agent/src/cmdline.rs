//! The kernel command line: who we are, where the server is, how the network is meant to be.
//!
//! Two vocabularies are understood. Ours: `gantry.url`, `gantry.config`, `gantry.token`, `gantry.uuid`, `gantry.tls`,
//! `gantry.shell`, `gantry.panic`. A token is better not written here, where every process of the machine and the
//! kernel's log show it: `gantry.config` names a file of the server that has it (see `runner::credentials`). That of the older discovery system (engine.md §6, network.md §2.12):
//! `provisioner.web`, `provisioner.wsurl`, `rs.uuid`, `rs.token`, `provisioner.ip/.gw/.interface/.vlan/.mtu/.dns`.
//! `BOOTIF=` is written by the boot loader, `ip=` is the kernel's own
//! (<https://docs.kernel.org/admin-guide/nfs/nfsroot.html>). Of a repeated word the last one counts.

use crate::secret::Secret;
use std::net::Ipv4Addr;

/// What the kernel command line says. Unknown words are ignored, malformed values are reported in
/// [`Boot::problems`] and otherwise ignored: a machine that boots with a typo is still reachable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// API endpoint, for example `https://10.0.0.1:8092`.
    pub url: Option<String>,
    /// Address of the file with key and token of this machine.
    pub config: Option<String>,
    /// Token that lets a machine in (`unknown` or of this machine).
    pub token: Option<Secret>,
    /// Key of this machine, if the server already knew it.
    pub uuid: Option<String>,
    /// SHA-256 of the server's certificate (DER); without it every certificate is accepted.
    pub pin: Option<[u8; 32]>,
    /// MAC address of the card that the firmware booted from.
    pub bootif: Option<String>,
    /// How to configure the network.
    pub net: Net,
    /// Give a shell on the console.
    pub shell: bool,
    /// What PID 1 does when it cannot go on.
    pub on_panic: OnPanic,
    /// Values that could not be understood, as sentences.
    pub problems: Vec<String>,
}

/// Network wishes of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Only this interface, by name.
    pub device: Option<String>,
    /// Fixed address with prefix length, instead of DHCP.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Default gateway for the fixed address.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers for the fixed address.
    pub dns: Vec<Ipv4Addr>,
    /// Host name given by `ip=`.
    pub hostname: Option<String>,
    /// VLAN tag to put on the interface.
    pub vlan: Option<u16>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
}

/// What PID 1 does when the agent itself is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// Wait, then restart the machine.
    #[default]
    Reboot,
    /// Stay, for someone to look at the console.
    Hold,
    /// Switch the machine off.
    PowerOff,
}

/// Reads a kernel command line.
pub fn parse(line: &str) -> Boot {
    let mut raw = Raw::default();
    for word in words(line) {
        let (key, value) = word.split_once('=').unwrap_or((word.as_str(), ""));
        raw.take(key, value);
    }
    raw.finish()
}

/// Splits like the kernel: blanks separate, double quotes join and vanish.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

#[derive(Default)]
struct Raw {
    boot: Boot,
    web: Option<String>,
    ws: Option<String>,
}

impl Raw {
    fn take(&mut self, key: &str, value: &str) {
        let boot = &mut self.boot;
        let some = || Some(value.to_owned()).filter(|v| !v.is_empty());
        match key {
            "gantry.url" => boot.url = some(),
            "gantry.config" => match value.starts_with("http://") || value.starts_with("https://") {
                true => boot.config = some(),
                false => self.problem(key, value, "the http or https address of a file"),
            },
            "gantry.token" | "rs.token" | "provisioner.token" => boot.token = some().map(Secret::new),
            "gantry.uuid" | "rs.uuid" => boot.uuid = some().map(|u| u.to_lowercase()),
            "gantry.tls" => match pin(value) {
                Some(pin) => boot.pin = Some(pin),
                None => self.problem(key, value, "sha256: and 64 hexadecimal digits"),
            },
            "gantry.shell" => boot.shell = !matches!(value, "0" | "no" | "off"),
            "gantry.panic" => match value {
                "reboot" => boot.on_panic = OnPanic::Reboot,
                "hold" => boot.on_panic = OnPanic::Hold,
                "poweroff" => boot.on_panic = OnPanic::PowerOff,
                _ => self.problem(key, value, "reboot, hold or poweroff"),
            },
            "provisioner.web" => self.web = some(),
            "provisioner.wsurl" => self.ws = some(),
            "BOOTIF" => match bootif(value) {
                Some(mac) => boot.bootif = Some(mac),
                None => self.problem(key, value, "01- and a MAC address with dashes"),
            },
            "ip" => self.ip(value),
            _ => self.provisioner(key, value),
        }
    }

    fn provisioner(&mut self, key: &str, value: &str) {
        let net = &mut self.boot.net;
        let fault = match key {
            "provisioner.interface" => {
                net.device = Some(value.to_owned()).filter(|v| !v.is_empty());
                None
            }
            "provisioner.ip" => match cidr(value) {
                Some(address) => {
                    net.address = Some(address);
                    None
                }
                None => Some("an address with prefix, such as 10.0.0.5/24"),
            },
            "provisioner.gw" => set(&mut net.gateway, value.parse().ok(), "an IPv4 address"),
            "provisioner.vlan" => {
                let tag = value.parse().ok().filter(|tag| (1..=4094).contains(tag));
                set(&mut net.vlan, tag, "a number from 1 to 4094")
            }
            "provisioner.mtu" => {
                let mtu = value.parse().ok().filter(|mtu| (576..=65_535).contains(mtu));
                set(&mut net.mtu, mtu, "a number from 576 to 65535")
            }
            "provisioner.dns" => {
                net.dns = value.split(',').filter_map(|a| a.trim().parse().ok()).collect();
                net.dns.is_empty().then_some("IPv4 addresses separated by commas")
            }
            _ => None,
        };
        if let Some(right) = fault {
            self.problem(key, value, right);
        }
    }

    /// `ip=<client>:<server>:<gateway>:<mask>:<host>:<device>:<autoconf>:<dns0>:<dns1>`, `ip=dhcp`,
    /// `ip=<device>:dhcp`.
    fn ip(&mut self, value: &str) {
        let parts: Vec<&str> = value.split(':').collect();
        if let [device, "dhcp" | "on" | "any"] = parts[..] {
            self.boot.net.device = Some(device.to_owned());
            return;
        }
        if parts.len() < 4 {
            if !matches!(value, "dhcp" | "on" | "any" | "" | "off" | "none") {
                self.problem("ip", value, "dhcp, DEVICE:dhcp or CLIENT:SERVER:GATEWAY:MASK:…");
            }
            return;
        }
        let at = |i: usize| parts.get(i).copied().unwrap_or("");
        if !at(5).is_empty() {
            self.boot.net.device = Some(at(5).to_owned());
        }
        let Ok(client) = at(0).parse::<Ipv4Addr>() else {
            if !at(0).is_empty() {
                self.problem("ip", value, "an IPv4 address before the first colon");
            }
            return;
        };
        let Some(prefix) = at(3).parse().ok().and_then(prefix_of) else {
            self.problem("ip", value, "a netmask such as 255.255.255.0 in the fourth place");
            return;
        };
        let net = &mut self.boot.net;
        net.address = Some((client, prefix));
        net.gateway = at(2).parse().ok();
        net.hostname = Some(at(4).to_owned()).filter(|name| !name.is_empty());
        net.dns = parts.iter().skip(7).filter_map(|a| a.parse().ok()).collect();
    }

    fn problem(&mut self, key: &str, value: &str, right: &str) {
        self.boot.problems.push(format!("{key}={value}: want {right}"));
    }

    /// The API lies beside the file server when only that one is named: same host, port 8092.
    fn finish(mut self) -> Boot {
        if self.boot.url.is_none() {
            let from_ws = self.ws.as_deref().and_then(|url| host(url).map(|h| (h, url)));
            let from_web = self.web.as_deref().and_then(host);
            self.boot.url = match (from_ws, from_web) {
                (Some((_, url)), _) => Some(url.replacen("ws", "http", 1)).map(|u| base(&u)),
                (None, Some(host)) => Some(format!("https://{host}:8092")),
                (None, None) => None,
            };
        }
        self.boot.url = self.boot.url.map(|url| url.trim_end_matches('/').to_owned());
        self.boot
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>, right: &'static str) -> Option<&'static str> {
    if value.is_none() {
        return Some(right);
    }
    *place = value;
    None
}

/// `scheme://host:port/path` without the path.
fn base(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}")
}

/// The host of a URL, brackets of IPv6 kept, without the port.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split('/').next()?;
    let host = match authority.rfind(']') {
        Some(end) => &authority[..=end],
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}

/// Reads `sha256:<64 hex digits>`; colons between the digits are allowed.
pub fn pin(value: &str) -> Option<[u8; 32]> {
    let digits: String = value.strip_prefix("sha256:")?.chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut pin = [0; 32];
    for (i, byte) in pin.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(pin)
}

/// `01-52-54-00-01-00-01` as written by pxelinux and iPXE scripts; the hardware type may be missing.
fn bootif(value: &str) -> Option<String> {
    let text = value.to_lowercase().replace('-', ":");
    let mac = if text.len() == 20 { text.strip_prefix("01:")? } else { &text };
    let parts: Vec<&str> = mac.split(':').collect();
    let good =
        parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
    good.then(|| mac.to_owned())
}

fn cidr(value: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = value.split_once('/')?;
    let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32)?;
    Some((address.parse().ok()?, prefix))
}

/// The prefix length of a netmask; `None` for masks with holes.
pub fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    let ones = bits.leading_ones();
    let rest = bits.checked_shl(ones).unwrap_or(0);
    (rest == 0).then_some(ones as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_words() {
        let pin_text = "ab".repeat(32);
        let boot = parse(&format!(
            "console=ttyS0 gantry.url=https://10.77.0.1:8092/ gantry.token=s3cret gantry.uuid=AB-1 gantry.config=https://a/b \
             gantry.tls=sha256:{pin_text} gantry.shell gantry.panic=hold BOOTIF=01-52-54-00-01-00-0A"
        ));
        assert_eq!(boot.url.as_deref(), Some("https://10.77.0.1:8092"));
        assert_eq!(boot.token.as_ref().map(Secret::expose), Some("s3cret"));
        assert_eq!((boot.uuid.as_deref(), boot.config.as_deref()), (Some("ab-1"), Some("https://a/b")));
        assert_eq!(boot.pin, Some([0xab; 32]));
        assert_eq!(boot.bootif.as_deref(), Some("52:54:00:01:00:0a"));
        assert_eq!((boot.shell, boot.on_panic), (true, OnPanic::Hold));
        assert!(boot.problems.is_empty(), "{:?}", boot.problems);
        assert!(!format!("{boot:?}").contains("s3cret"));
    }

    #[test]
    fn words_of_the_older_system() {
        let boot = parse(
            "provisioner.web=http://10.0.0.1:8091 rs.uuid=u-1 provisioner.ip=10.0.0.9/24 provisioner.gw=10.0.0.1 \
             provisioner.interface=eth1 provisioner.vlan=77 provisioner.mtu=9000 provisioner.dns=1.1.1.1,9.9.9.9",
        );
        assert_eq!(boot.url.as_deref(), Some("https://10.0.0.1:8092"));
        assert_eq!(boot.net.address, Some((Ipv4Addr::new(10, 0, 0, 9), 24)));
        assert_eq!(boot.net.gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!((boot.net.vlan, boot.net.mtu), (Some(77), Some(9000)));
        assert_eq!(boot.net.dns.len(), 2);
        let boot = parse("provisioner.wsurl=wss://[fd77::1]:8092/api/v3/ws");
        assert_eq!(boot.url.as_deref(), Some("https://[fd77::1]:8092"));
        assert_eq!(
            parse("provisioner.web=http://[fd77::1]:8091").url.as_deref(),
            Some("https://[fd77::1]:8092")
        );
    }

    #[test]
    fn the_kernels_own_ip_word() {
        let boot = parse("ip=10.1.2.3::10.1.2.1:255.255.254.0:node7:eth0:off:10.1.2.2");
        assert_eq!(boot.net.address, Some((Ipv4Addr::new(10, 1, 2, 3), 23)));
        assert_eq!(boot.net.device.as_deref(), Some("eth0"));
        assert_eq!(boot.net.hostname.as_deref(), Some("node7"));
        assert_eq!(boot.net.dns, vec![Ipv4Addr::new(10, 1, 2, 2)]);
        assert_eq!(parse("ip=eno1:dhcp").net.device.as_deref(), Some("eno1"));
        assert_eq!(parse("ip=dhcp").net, Net::default());
    }

    #[test]
    fn wrong_values_are_named_and_ignored() {
        let boot = parse(
            "gantry.tls=md5:00 BOOTIF=zz ip=10.0.0.1::10.0.0.2:255.0.255.0 provisioner.vlan=9999 gantry.panic=x ip=1:2 gantry.config=/etc/shadow",
        );
        assert_eq!(boot.problems.len(), 7, "{:?}", boot.problems);
        assert_eq!((boot.pin, boot.bootif, boot.net.address), (None, None, None));
        assert!(boot.problems[0].contains("gantry.tls=md5:00"));
    }

    #[test]
    fn quotes_join_and_last_word_wins() {
        let boot = parse(r#"gantry.url=http://a:1 dyndbg="file x +p" gantry.url="http://b:2""#);
        assert_eq!(boot.url.as_deref(), Some("http://b:2"));
    }

    #[test]
    fn masks_with_holes_are_no_masks() {
        assert_eq!(prefix_of(Ipv4Addr::new(255, 255, 255, 255)), Some(32));
        assert_eq!(prefix_of(Ipv4Addr::UNSPECIFIED), Some(0));
        assert_eq!(prefix_of(Ipv4Addr::new(255, 0, 255, 0)), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in ".{0,300}") {
            let _ = parse(&line);
        }

        #[test]
        fn any_ip_word_is_read_without_panic(line in "[0-9a-z:./,=-]{0,60}") {
            let _ = parse(&format!("ip={line} BOOTIF={line} gantry.tls=sha256:{line} provisioner.ip={line}"));
        }
    }
}
