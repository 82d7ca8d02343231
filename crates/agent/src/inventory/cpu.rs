//! Processors, from `/proc/cpuinfo`.

use super::read;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The processors of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cpu {
    /// Model of the first processor.
    pub model: String,
    /// Its maker.
    pub vendor: String,
    /// Sockets in use.
    pub sockets: usize,
    /// Cores over all sockets.
    pub cores: usize,
    /// Threads that the kernel runs.
    pub threads: usize,
    /// Feature flags of the first processor, sorted.
    pub flags: Vec<String>,
}

/// Reads the processors.
pub fn gather(root: &Path) -> Cpu {
    parse(&read(root, "proc/cpuinfo"))
}

fn parse(text: &str) -> Cpu {
    let mut cpu = Cpu::default();
    let (mut sockets, mut cores) = (BTreeSet::new(), BTreeSet::new());
    let mut socket = "0";
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => {
                cpu.threads += 1;
                socket = "0";
            }
            "model name" if cpu.model.is_empty() => cpu.model = value.to_owned(),
            "vendor_id" | "CPU implementer" if cpu.vendor.is_empty() => cpu.vendor = value.to_owned(),
            "physical id" => {
                socket = value;
                sockets.insert(value);
            }
            "core id" => {
                cores.insert((socket, value));
            }
            "flags" | "Features" if cpu.flags.is_empty() => cpu.flags = flags(value),
            _ => {}
        }
    }
    cpu.sockets = sockets.len().max(usize::from(cpu.threads > 0));
    cpu.cores = if cores.is_empty() { cpu.threads } else { cores.len() };
    cpu
}

fn flags(value: &str) -> Vec<String> {
    let mut flags: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    flags.sort();
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sockets_of_two_cores_with_two_threads() {
        let mut text = String::new();
        for (n, (socket, core)) in
            [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0), (1, 1)].iter().enumerate()
        {
            text += &format!(
                "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nphysical id\t: {socket}\ncore id\t: {core}\nflags\t\t: sse2 fpu\n\n"
            );
        }
        let cpu = parse(&text);
        assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (2, 4, 8));
        assert_eq!((cpu.model.as_str(), cpu.flags), ("Xeon", vec!["fpu".to_owned(), "sse2".to_owned()]));
    }

    #[test]
    fn arm_has_no_core_ids() {
        let cpu = parse("processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\nprocessor\t: 1\n");
        assert_eq!((cpu.sockets, cpu.cores, cpu.threads, cpu.vendor.as_str()), (1, 2, 2, "0x41"));
        assert_eq!(parse(""), Cpu::default());
    }
}
