//! The default entry of grub's generated menu. Not a shell: only what `grub-mkconfig` and hand-written
//! menus say plainly is understood: `set` of constants, `menuentry` blocks, `linux*` and `initrd*`.
//! The first entry counts unless `default` names another one by number, title or id, with `>` between a submenu and what is in it.

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

/// One entry of the menu, or a submenu.
#[derive(Clone, Debug, Default)]
struct Item {
    title: String,
    id: String,
    /// Its number, after those of the submenus that it is in. A submenu counts as one.
    at: Vec<usize>,
    entry: Entry,
}

/// Reads a menu; `environment` is grub's saved environment.
pub fn parse(text: &str, environment: &str) -> Option<Entry> {
    let mut menu = Menu { counts: vec![0], ..Menu::default() };
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
    submenus: Vec<Item>,
    /// What is open: true for an entry, false for a submenu.
    open: Vec<bool>,
    /// The submenu that is open.
    inside: Vec<usize>,
    /// How many entries and submenus there were so far, at the top and in each open submenu.
    counts: Vec<usize>,
}

impl Menu {
    fn line(&mut self, words: &[Word]) {
        let Some(first) = words.first() else { return };
        match first.text.as_str() {
            "set" => self.set(words),
            "menuentry" | "submenu" => {
                self.begin(words, first.text == "menuentry");
            }
            "linux" | "linux16" | "linuxefi" => self.linux(words),
            "initrd" | "initrd16" | "initrdefi" => self.initrd(words),
            "}" if self.open.len() == 1 || self.open.last() == Some(&true) => self.end(),
            _ => {}
        }
    }

    fn begin(&mut self, words: &[Word], is_entry: bool) {
        let id =
            words.windows(2).find(|pair| matches!(pair[0].text.as_str(), "$menuentry_id_option" | "--id"));
        let mut at = self.inside.clone();
        if let Some(count) = self.counts.last_mut() {
            at.push(*count);
            *count += 1;
        }
        let item = Item {
            title: words.get(1).map(|word| word.text.clone()).unwrap_or_default(),
            id: id.map(|pair| pair[1].text.clone()).unwrap_or_default(),
            at,
            entry: Entry::default(),
        };
        if is_entry {
            self.items.push(item);
        } else {
            self.inside.clone_from(&item.at);
            self.counts.push(0);
            self.submenus.push(item);
        }
        self.open.push(is_entry);
    }

    fn end(&mut self) {
        if self.open.pop() == Some(false) {
            self.inside.pop();
            self.counts.pop();
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
        let mut bootable = self.items.iter().filter(|item| !item.entry.kernel.is_empty());
        let first = bootable.clone().next();
        // Of a submenu the first entry is started.
        let by_path =
            self.place(wanted).and_then(|at| bootable.clone().find(|item| item.at.starts_with(&at)));
        // A title or an id identifies an entry without its submenu as well.
        let last = wanted.rsplit('>').next().unwrap_or(wanted);
        let by_name = || bootable.find(|item| !last.is_empty() && (item.title == last || item.id == last));
        Some(by_path.or_else(by_name).or(first)?.entry.clone())
    }

    /// Where `1>2`, `submenu>id` and the like lead.
    fn place(&self, wanted: &str) -> Option<Vec<usize>> {
        let mut at: Vec<usize> = Vec::new();
        for word in wanted.split('>') {
            let number = word.parse::<usize>().ok();
            let all = self.items.iter().chain(&self.submenus);
            let mut here = all.filter(|item| item.at.len() == at.len() + 1 && item.at.starts_with(&at));
            let by_number = here.clone().find(|item| number.is_some() && item.at.last().copied() == number);
            let found = by_number.or_else(|| here.find(|item| item.title == word || item.id == word))?;
            at.clone_from(&found.at);
        }
        Some(at)
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
    fn a_submenu_counts_as_one() {
        let text = format!(
            "{DEBIAN}\nmenuentry 'Behind' {{\n linux /boot/behind\n}}\nsubmenu 'More' {{\n menuentry a {{\n linux /a\n }}\n \
             menuentry b {{\n linux /b\n }}\n}}\n"
        );
        let newest = "/boot/vmlinuz-6.1.0-56-amd64";
        let old = "/boot/vmlinuz-6.1.0-50-amd64";
        for (default, kernel) in [
            ("0", newest),
            ("1", old),
            ("1>0", old),
            ("2", "/boot/behind"),
            ("3>1", "/b"),
            ("More>0", "/a"),
            ("More>b", "/b"),
            ("3>7", newest),
            ("9", newest),
        ] {
            let text = text.replace("default=\"0\"", &format!("default=\"{default}\""));
            assert_eq!(parse(&text, "").expect("entry").kernel, kernel, "{default}");
        }
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
