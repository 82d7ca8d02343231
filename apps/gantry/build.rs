//! Tells the tests whether `DRPCLI` names a program: those that need one are ignored without it, by name and with the reason.

fn main() {
    println!("cargo::rerun-if-env-changed=DRPCLI");
    println!("cargo::rustc-check-cfg=cfg(drpcli)");
    if std::env::var_os("DRPCLI").is_some() {
        println!("cargo::rustc-cfg=drpcli");
    }
}
