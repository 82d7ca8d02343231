//! Boot loader specification, type 1 entries (<https://uapi-group.org/specifications/specs/boot_loader_specification/>),
//! as Fedora's family and systemd-boot write them.

use super::{Entry, compare_versions};
use crate::deploy::inside::Root;
use crate::inventory::names;

/// Places where entries lie, and what their paths are relative to.
const PLACES: [(&str, &str); 3] = [
    ("/boot/loader/entries", "/boot"),
    ("/boot/efi/loader/entries", "/boot/efi"),
    ("/efi/loader/entries", "/efi"),
];

/// The entry that would be started, if there are any.
pub fn find(root: &Root) -> Option<Entry> {
    PLACES.iter().find_map(|(folder, base)| {
        let place = root.resolve(folder).ok()?;
        let files: Vec<String> = names(&place).into_iter().filter(|name| name.ends_with(".conf")).collect();
        let texts = files
            .iter()
            .filter_map(|name| Some((name.clone(), root.read(&format!("{folder}/{name}")).ok()??)));
        let entries: Vec<Parsed> = texts.filter_map(|(name, text)| parse(&name, &text)).collect();
        let best = entries.into_iter().max_by(compare)?;
        let options = expand(&best.options, &environment(root));
        Some(Entry {
            kernel: locate(root, base, &best.linux),
            initrds: best.initrds.iter().map(|path| locate(root, base, path)).collect(),
            cmdline: options,
            origin: format!("{folder}/{}", best.file),
        })
    })
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parsed {
    file: String,
    sort_key: String,
    version: String,
    linux: String,
    initrds: Vec<String>,
    options: String,
}

/// Entries without a kernel (other operating systems) and for rescue are left out.
fn parse(file: &str, text: &str) -> Option<Parsed> {
    let mut entry = Parsed { file: file.to_owned(), ..Parsed::default() };
    for line in text.lines() {
        let line = line.trim();
        let Some((key, value)) = line.split_once(char::is_whitespace) else { continue };
        let value = value.trim();
        match key {
            "sort-key" => value.clone_into(&mut entry.sort_key),
            "version" => value.clone_into(&mut entry.version),
            "linux" => value.clone_into(&mut entry.linux),
            // Fedora has several on one line; `$tuned_initrd` and the like are empty by default.
            "initrd" => entry
                .initrds
                .extend(value.split_whitespace().filter(|path| !path.starts_with('$')).map(str::to_owned)),
            "options" => {
                if !entry.options.is_empty() {
                    entry.options.push(' ');
                }
                entry.options.push_str(value);
            }
            _ => {}
        }
    }
    let usable = !entry.linux.is_empty() && !entry.version.contains("rescue") && !file.contains("rescue");
    usable.then_some(entry)
}

/// Entries with a sort key come first; then the newest version, then the file name.
fn compare(a: &Parsed, b: &Parsed) -> std::cmp::Ordering {
    (!a.sort_key.is_empty())
        .cmp(&!b.sort_key.is_empty())
        .then_with(|| compare_versions(&a.version, &b.version))
        .then_with(|| compare_versions(&a.file, &b.file))
}

/// Paths are relative to the partition of the entries; without a boot partition that is the root.
fn locate(root: &Root, base: &str, path: &str) -> String {
    let joined = format!("{base}/{}", path.trim_start_matches('/'));
    if root.exists(&joined) || !root.exists(path) { joined } else { path.to_owned() }
}

/// Variables of grub's environment block, such as `kernelopts`.
fn environment(root: &Root) -> Vec<(String, String)> {
    let places = ["/boot/grub2/grubenv", "/boot/grub/grubenv"];
    let text = places.iter().find_map(|path| root.read(path).ok()?).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn expand(options: &str, environment: &[(String, String)]) -> String {
    let value = |name: &str| {
        environment.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let words = options.split_whitespace().map(|word| word.strip_prefix('$').map_or(word, &value));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::system;
    use super::*;

    const NEW: &str = "title Fedora\nversion 6.9.7-200.fc40.x86_64\nlinux /vmlinuz-6.9.7\ninitrd /initramfs-6.9.7.img $tuned_initrd\noptions $kernelopts quiet $tuned_params\ngrub_class fedora\n";
    const OLD: &str = "title Fedora\nversion 6.9.10-1\nlinux /vmlinuz-6.9.10\noptions root=UUID=1\n";

    #[test]
    fn the_newest_entry_with_grubs_variables() {
        let (_dir, root) = system(&[
            ("/boot/loader/entries/a-6.9.7.conf", NEW),
            ("/boot/loader/entries/a-0-rescue.conf", "version 0-rescue\nlinux /rescue\n"),
            ("/boot/grub2/grubenv", "# GRUB Environment Block\nkernelopts=root=/dev/mapper/x ro\n###"),
            ("/boot/vmlinuz-6.9.7", ""),
            ("/boot/initramfs-6.9.7.img", ""),
        ]);
        let entry = find(&root).expect("entry");
        assert_eq!(entry.kernel, "/boot/vmlinuz-6.9.7");
        assert_eq!(entry.initrds, ["/boot/initramfs-6.9.7.img"]);
        assert_eq!(entry.cmdline, "root=/dev/mapper/x ro quiet");
    }

    #[test]
    fn order() {
        let old = parse("x.conf", OLD).expect("old");
        let new = parse("y.conf", NEW).expect("new");
        assert!(compare(&old, &new).is_gt(), "6.9.10 is newer than 6.9.7");
        let keyed = Parsed { sort_key: "fedora".into(), ..new };
        assert!(compare(&keyed, &old).is_gt());
        assert_eq!(parse("win.conf", "title Windows\nefi /EFI/x\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_entry_is_read_without_panic(text in "(?s).{0,200}") {
            let _ = parse("x.conf", &text);
            let _ = expand(&text, &[]);
        }
    }
}
