//! What the crate says on the wire and decides, as tables of text. One binary, a module per area.

#[cfg(test)]
mod codec;
#[cfg(test)]
mod dhcp;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lossy;
#[cfg(test)]
mod tftp;
#[cfg(test)]
mod tftp_clients;
