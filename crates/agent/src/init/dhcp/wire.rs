//! Numbers of the protocol: message types and options (RFC 2132, RFC 3442).

pub(super) const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
pub(super) const DISCOVER: u8 = 1;
pub(super) const OFFER: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const ACK: u8 = 5;
pub(super) const NAK: u8 = 6;

pub(super) const OPT_MASK: u8 = 1;
pub(super) const OPT_ROUTER: u8 = 3;
pub(super) const OPT_DNS: u8 = 6;
pub(super) const OPT_HOSTNAME: u8 = 12;
pub(super) const OPT_DOMAIN: u8 = 15;
pub(super) const OPT_MTU: u8 = 26;
pub(super) const OPT_ADDRESS: u8 = 50;
pub(super) const OPT_LEASE: u8 = 51;
pub(super) const OPT_TYPE: u8 = 53;
pub(super) const OPT_SERVER: u8 = 54;
pub(super) const OPT_WANTED: u8 = 55;
pub(super) const OPT_T1: u8 = 58;
pub(super) const OPT_T2: u8 = 59;
pub(super) const OPT_VENDOR: u8 = 60;
pub(super) const OPT_ROUTES: u8 = 121;
