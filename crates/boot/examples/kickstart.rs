//! CPU per rendered kickstart of 145 lines, and per look-up of a path that nothing claims, at growing fleet sizes.
//!
//! `cargo run --release -p gantry-boot --example kickstart [sizes..]`, by default 1000 100000.

#![expect(clippy::print_stdout, reason = "the table is the point of the program")]

use std::sync::Arc;

use gantry_boot::{File, Host, Renderer, Server};
use gantry_model::{Edit, Info, Kind, Machine, Record, View};
use serde_json::{Value, json};

/// A world without secrets.
#[derive(Debug, Default)]
struct Bench(gantry_template::NoHost);

impl gantry_template::Host for Bench {
    fn random(&self, buffer: &mut [u8]) {
        self.0.random(buffer);
    }

    fn now(&self) -> std::time::Duration {
        self.0.now()
    }
}

impl Host for Bench {
    fn machine_token(&self, machine: &Machine, _seconds: i64) -> String {
        machine.secret.clone()
    }

    fn unknown_token(&self, _seconds: i64) -> String {
        String::new()
    }

    fn profile_token(&self, _profile: &str, _seconds: i64) -> String {
        String::new()
    }

    fn open(&self, _kind: Kind, _key: &str, _sealed: &Value) -> Option<Value> {
        None
    }
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    println!("machines  kickstart us  bytes  lines  nothing us");
    for size in if sizes.is_empty() { vec![1_000, 100_000] } else { sizes } {
        measure(size);
    }
}

fn measure(size: usize) {
    let view = fleet(size);
    let server = Arc::new(Server {
        info: Arc::new(Info { api_port: 8092, file_port: 8091, ..Info::default() }),
        address: [10, 0, 0, 1].into(),
        client: None,
    });
    let host: Arc<dyn Host> = Arc::new(Bench::default());
    let renderer = Renderer::new();
    let file = |path: &str| renderer.file(&view, path, &server, &host).expect("it renders");
    let File::Rendered(first) = file(&format!("machines/{}/compute.ks", id(0))) else {
        panic!("it is a template")
    };
    let lines = first.bytes.iter().filter(|byte| **byte == b'\n').count();
    let rendered = time(2_000, |n| file(&format!("machines/{}/compute.ks", id(n * 37 % size))));
    let nothing = time(2_000, |_| file("debian-12/install/linux"));
    println!("{size:>8}  {rendered:>12.1}  {:>5}  {lines:>5}  {nothing:>10.2}", first.bytes.len());
}

fn time<T>(calls: usize, mut call: impl FnMut(usize) -> T) -> f64 {
    let started = cpu();
    for n in 0..calls {
        std::hint::black_box(call(n));
    }
    (cpu() - started) * 1e6 / calls as f64
}

/// CPU seconds that this thread used: what other programs on the machine do does not count.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn fleet(size: usize) -> View {
    let put = |kind, value| Edit::put(Record::from_value(kind, value, 1).expect("sound").into());
    let mut edits = vec![
        put(Kind::Template, json!({"ID": "ks.tmpl", "Contents": kickstart()})),
        put(
            Kind::BootEnv,
            json!({
                "Name": "centos-7-install", "Kernel": "images/pxeboot/vmlinuz", "Initrds": ["images/pxeboot/initrd.img"],
                "OS": {"Name": "centos-7"}, "BootParams": "ks={{.Machine.Url}}/compute.ks",
                "Templates": [
                    {"Name": "pxelinux", "Path": "pxelinux.cfg/{{.Machine.HexAddress}}", "Contents": "x"},
                    {"Name": "ipxe", "Path": "{{.Machine.Address}}.ipxe", "Contents": "x"},
                    {"Name": "ks", "Path": "{{.Machine.Path}}/compute.ks", "ID": "ks.tmpl"},
                ],
            }),
        ),
        put(
            Kind::Profile,
            json!({"Name": "global", "Params": {"ntp-servers": ["a", "b"], "dns/domain": "example.org", "proxy": ""}}),
        ),
        put(
            Kind::Profile,
            json!({"Name": "site", "Params": {"rootpw": "$6$x", "packages": ["vim", "tmux", "git"]}}),
        ),
    ];
    edits.extend((0..size).map(|n| put(Kind::Machine, json!({
        "Name": format!("node-{n}"), "Uuid": id(n), "BootEnv": "centos-7-install", "Stage": "none", "Arch": "amd64", "Profiles": ["site"],
        "Address": format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255),
        "Params": {"disk": "sda", "serial": n, "rack": "r1", "owner": "ops", "role": "web", "a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
    }))));
    View::base().apply(&edits, 1).0
}

/// 145 lines with the usual mixture: text, parameters, conditions, loops, the machine and the server.
fn kickstart() -> String {
    let block = "# {{.Machine.Name}}\nlang en_US.UTF-8\nrootpw --iscrypted {{.Param \"rootpw\"}}\nurl --url {{.Env.PathFor \"http\" \"\"}}\n\
        {{if .ParamExists \"proxy\"}}# proxy {{.Param \"proxy\"}}{{end}}\nnetwork --hostname {{.Machine.ShortName}}.{{.Param \"dns/domain\"}}\n\
        ignoredisk --only-use={{.Param \"disk\"}}\n{{range $i, $server := .Param \"ntp-servers\"}}{{$i}}={{$server}} {{end}}\n%packages\n\
        {{range .Param \"packages\"}}{{.}} {{end}}\n%end\n%post\ncurl -o /tmp/x {{.ProvisionerURL}}/files/x\nexport RS_UUID={{.Machine.UUID}}\n\
        {{if eq (.Param \"role\") \"web\"}}systemctl enable httpd{{else}}true{{end}}\n";
    let mut text = String::new();
    for _ in 0..9 {
        text.push_str(block);
    }
    for n in text.lines().count()..145 {
        text.push_str(&format!("# line {n}\n"));
    }
    text
}
