//! The default entry of grub's generated menu. Not a shell: only what `grub-mkconfig` and hand-written
//! menus say plainly is understood: `set` of constants, `menuentry` blocks, `linux*` and `initrd*`.
//! The first entry counts unless `default` names another one by number, title or id.

use super::Entry;
use crate::deploy::inside::Root;
use std::collections::HashMap;

/// Lines looked at, at most.
const MAX_LINES: usize = 100_000;

/// Where menus lie.
const PLACES: [&str; 4] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/debian/grub.cfg",
    "/boot/efi/EFI/BOOT/grub.cfg",
];

/// The default entry of the first menu that has one.
pub fn find(root: &Root) -> Option<Entry> {
    PLACES.iter().find_map(|path| {
        let text = root.read(path).ok()??;
        let saved =
            ["/boot/grub/grubenv", "/boot/grub2/grubenv"].iter().find_map(|path| root.read(path).ok()?);
        let mut entry = parse(&text, &saved.unwrap_or_default())?;
        // With a boot partition of its own, grub's paths begin below /boot.
        entry.kernel = locate(root, &entry.kernel);
        entry.initrds = entry.initrds.iter().map(|path| locate(root, path)).collect();
        entry.origin = (*path).to_owned();
        Some(entry)
    })
}

fn locate(root: &Root, path: &str) -> String {
    if root.exists(path) { path.to_owned() } else { format!("/boot{path}") }
}

/// One entry of the menu.
#[derive(Clone, Debug, Default)]
struct Item {
    title: String,
    id: String,
    entry: Entry,
}

/// Reads a menu; `environment` is grub's saved environment.
pub fn parse(text: &str, environment: &str) -> Option<Entry> {
    let mut menu = Menu::default();
    for line in environment.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            menu.variables.insert(name.to_owned(), value.to_owned());
        }
    }
    for line in text.lines().take(MAX_LINES) {
        menu.line(&words(line));
    }
    let wanted = menu.variables.get("default").cloned().unwrap_or_default();
    menu.pick(&wanted)
}

#[derive(Debug, Default)]
struct Menu {
    variables: HashMap<String, String>,
    items: Vec<Item>,
    /// Titles of open submenus and entries.
    open: Vec<bool>,
}

impl Menu {
    fn line(&mut self, words: &[Word]) {
        let Some(first) = words.first() else { return };
        match first.text.as_str() {
            "set" => self.set(words),
            "menuentry" | "submenu" => {
                let is_entry = first.text == "menuentry";
                if is_entry {
                    let id = words
                        .windows(2)
                        .find(|pair| matches!(pair[0].text.as_str(), "$menuentry_id_option" | "--id"));
                    self.items.push(Item {
                        title: words.get(1).map(|word| word.text.clone()).unwrap_or_default(),
                        id: id.map(|pair| pair[1].text.clone()).unwrap_or_default(),
                        entry: Entry::default(),
                    });
                }
                self.open.push(is_entry);
            }
            "linux" | "linux16" | "linuxefi" => self.linux(words),
            "initrd" | "initrd16" | "initrdefi" => self.initrd(words),
            "}" if self.open.len() == 1 || self.open.last() == Some(&true) => drop(self.open.pop()),
            _ => {}
        }
    }

    /// `set name=value`, but not inside of an entry, where it concerns only that one; and not `default`
    /// for the next boot only.
    fn set(&mut self, words: &[Word]) {
        let Some((name, value)) = words.get(1).and_then(|word| word.text.split_once('=')) else { return };
        let value = self.expand(value);
        if self.open.is_empty() && !(name == "default" && value.is_empty()) {
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// Kernel lines outside of any entry make one: a menu may consist of nothing else.
    fn item(&mut self) -> Option<&mut Item> {
        if self.items.is_empty() {
            self.items.push(Item::default());
        }
        self.items.last_mut()
    }

    fn linux(&mut self, words: &[Word]) {
        let Some(path) = words.get(1) else { return };
        let kernel = self.path(&path.text);
        let arguments: Vec<String> = words
            .iter()
            .skip(2)
            .map(|word| self.expand(&word.text))
            .filter(|text| !text.is_empty())
            .collect();
        if let Some(item) = self.item().filter(|item| item.entry.kernel.is_empty()) {
            item.entry.kernel = kernel;
            item.entry.cmdline = arguments.join(" ");
        }
    }

    fn initrd(&mut self, words: &[Word]) {
        let paths: Vec<String> = words.iter().skip(1).map(|word| self.path(&word.text)).collect();
        if let Some(item) = self.item().filter(|item| item.entry.initrds.is_empty()) {
            item.entry.initrds = paths;
        }
    }

    /// `($root)/boot/x` and `(hd0,gpt2)/boot/x` mean the same as `/boot/x` for us.
    fn path(&self, text: &str) -> String {
        let text = match text.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((_, path)) => path,
            None => text,
        };
        self.expand(text)
    }

    /// `$name` and `${name}`; unknown ones vanish, as in grub.
    fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, tail) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(pair) => pair,
                None => {
                    let end =
                        after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            out.push_str(self.variables.get(name).map_or("", String::as_str));
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    fn pick(&self, wanted: &str) -> Option<Entry> {
        let bootable: Vec<&Item> = self.items.iter().filter(|item| !item.entry.kernel.is_empty()).collect();
        // `1>2` is entry 2 of submenu 1; the title or id behind the last `>` identifies it as well.
        let last = wanted.rsplit('>').next().unwrap_or(wanted);
        let by_name =
            bootable.iter().find(|item| !last.is_empty() && (item.title == last || item.id == last));
        let by_number = wanted
            .parse::<usize>()
            .ok()
            .and_then(|number| self.items.get(number))
            .filter(|item| !item.entry.kernel.is_empty());
        let item = by_name.copied().or(by_number).or(bootable.first().copied())?;
        Some(item.entry.clone())
    }
}

/// A word with its quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
}

/// Splits like a shell: blanks separate, quotes join, a backslash takes the next character as it is, `#`
/// begins a comment.
fn words(line: &str) -> Vec<Word> {
    let mut all = Vec::new();
    let mut text = String::new();
    let mut any = false;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') if !any => break,
            (None, '\'' | '"') => {
                quote = Some(c);
                any = true;
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                text.extend(chars.next());
                any = true;
            }
            (None, c) if c.is_whitespace() || c == ';' => {
                if any {
                    all.push(Word { text: std::mem::take(&mut text) });
                }
                any = false;
            }
            (_, c) => {
                text.push(c);
                any = true;
            }
        }
    }
    if any {
        all.push(Word { text });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = r#"
set default="0"
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
fi
set linux_gfx_mode=auto
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-abc' {
	load_video
	if [ x$grub_platform = xxen ]; then insmod xzio; fi
	search --no-floppy --fs-uuid --set=root abc
	echo	'Loading Linux 6.1.0-56-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-56-amd64 root=UUID=abc ro  quiet "a b"
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-6.1.0-56-amd64
}
submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-abc' {
	menuentry 'Debian, with Linux 6.1.0-50' $menuentry_id_option 'old' {
		linux	/boot/vmlinuz-6.1.0-50-amd64 root=UUID=abc ro
		initrd	/boot/initrd.img-6.1.0-50-amd64
	}
}
"#;

    #[test]
    fn debians_menu() {
        let entry = parse(DEBIAN, "").expect("entry");
        assert_eq!(entry.kernel, "/boot/vmlinuz-6.1.0-56-amd64");
        assert_eq!(entry.cmdline, "root=UUID=abc ro quiet a b");
        assert_eq!(entry.initrds, ["/boot/initrd.img-6.1.0-56-amd64"]);
    }

    #[test]
    fn another_default() {
        for default in ["old", "1>old", "gnulinux-advanced-abc>old", "Debian, with Linux 6.1.0-50"] {
            let text = DEBIAN.replace("default=\"0\"", &format!("default=\"{default}\""));
            assert_eq!(parse(&text, "").expect("entry").kernel, "/boot/vmlinuz-6.1.0-50-amd64", "{default}");
        }
        let text = DEBIAN.replace("default=\"0\"", "default=\"${saved_entry}\"");
        assert_eq!(parse(&text, "saved_entry=old\n").expect("entry").kernel, "/boot/vmlinuz-6.1.0-50-amd64");
    }

    #[test]
    fn a_menu_without_entries() {
        let text = "set timeout=0\nsearch --set=root x\nset k=6.1\nlinux ($root)/boot/vmlinuz-$k root=PARTUUID=1 ro console=ttyS0\ninitrd /boot/a /boot/b\nboot\n";
        let entry = parse(text, "").expect("entry");
        assert_eq!((entry.kernel.as_str(), entry.initrds.len()), ("/boot/vmlinuz-6.1", 2));
        assert_eq!(entry.cmdline, "root=PARTUUID=1 ro console=ttyS0");
        assert_eq!(parse("menuentry 'Windows' {\n chainloader +1\n}\n", ""), None);
    }

    proptest::proptest! {
        #[test]
        fn any_menu_is_read_without_panic(text in "(?s)[a-z\\\\'\"${}() =\n#>;é]{0,300}") {
            let _ = parse(&text, &text);
        }

        #[test]
        fn any_damage_to_a_menu_is_survived(at in 0usize..900, cut in 0usize..60) {
            let text: String = DEBIAN.chars().enumerate().filter(|(i, _)| !(at..at + cut).contains(i)).map(|(_, c)| c).collect();
            let _ = parse(&text, "");
        }
    }
}
