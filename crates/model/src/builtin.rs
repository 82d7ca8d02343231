//! The objects that are always there (API §22): layer `BasicStore`, and what a fresh store is given.

use serde_json::{Value, json};

use crate::{Bytes, Error, Layer, Profile, Tx, User, View};

/// The version of the API that packs may ask for.
pub const VERSION: &str = "v4.8.0";

/// The user of a fresh store, who may do everything.
pub const FIRST_USER: &str = "rocketskates";

impl View {
    /// A View with the built-in objects and nothing else.
    ///
    /// # Panics
    /// Never: a test shows that the built-in layer is sound.
    #[must_use]
    pub fn base() -> Self {
        let (view, _) = Self::empty().put_layer(layer(), 0).expect("the built-in layer is sound");
        view
    }
}

/// The built-in layer: boot environments `ignore` and `local`, stages `none` and `local`, role `superuser`, and the
/// parameter that says how pxelinux boots the local disk.
///
/// # Panics
/// Never: a test shows that it decodes.
#[must_use]
pub fn layer() -> Layer {
    let content = json!({
        "meta": {
            "Name": "BasicStore",
            "Description": "Default objects that must be present",
            "Version": VERSION,
            "Type": "basic",
            "Overwritable": true,
        },
        "sections": {
            "bootenvs": {"ignore": ignore(), "local": local()},
            "params": {"pxelinux-local-boot": local_boot()},
            "roles": {"superuser": {
                "Name": "superuser",
                "Claims": [{"scope": "*", "action": "*", "specific": "*"}],
            }},
            "stages": {
                "local": {
                    "Name": "local",
                    "BootEnv": "local",
                    "Description": "Stage to boot into the local BootEnv.",
                    "Meta": meta("green", "radio"),
                },
                "none": {
                    "Name": "none",
                    "Description": "Noop / Nothing stage",
                    "Meta": meta("green", "circle thin"),
                },
            },
        },
    });
    Layer::from_value(content).expect("the built-in objects decode")
}

/// Gives a fresh store what it needs: profile `global`, the first user with the given password hash, and the preferences.
/// Objects that are there already are left alone.
///
/// # Errors
/// None that a fresh or sound store can give.
pub fn first_objects(tx: &mut Tx, password_hash: &[u8]) -> Result<(), Error> {
    if tx.view().object::<Profile>("global").is_none() {
        tx.save(&Profile {
            name: "global".to_owned(),
            description: "Global profile attached automatically to all machines.".to_owned(),
            meta: [("color", "blue"), ("icon", "world"), ("title", TITLE)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Profile::default()
        })?;
    }
    if tx.view().count(crate::Kind::User) == 0 {
        let secret = tx.now().secret(16);
        tx.save(&User {
            name: FIRST_USER.to_owned(),
            roles: vec!["superuser".to_owned()],
            password_hash: Bytes(password_hash.to_vec()),
            secret,
            ..User::default()
        })?;
    }
    let missing: Vec<(String, String)> = STORED_PREFERENCES
        .iter()
        .filter(|name| tx.view().record(crate::Kind::Preference, name).is_none())
        .map(|name| ((*name).to_owned(), first_value(name, tx)))
        .collect();
    tx.set_preferences(&missing)
}

const TITLE: &str = "Digital Rebar Provision";

/// The preferences that a fresh store holds (API §18); the others show their defaults.
const STORED_PREFERENCES: [&str; 13] = [
    "baseTokenSecret",
    "debugBootEnv",
    "debugDhcp",
    "debugFrontend",
    "debugPlugins",
    "debugRenderer",
    "defaultBootEnv",
    "defaultStage",
    "knownTokenTimeout",
    "logLevel",
    "systemGrantorSecret",
    "unknownBootEnv",
    "unknownTokenTimeout",
];

fn first_value(name: &str, tx: &Tx) -> String {
    match name {
        "baseTokenSecret" | "systemGrantorSecret" => tx.now().secret(32),
        name => crate::preference::default(name).to_owned(),
    }
}

fn meta(color: &str, icon: &str) -> Value {
    json!({"color": color, "icon": icon, "title": TITLE})
}

fn env_meta(icon: &str) -> Value {
    json!({"color": "green", "feature-flags": "change-stage-v2", "icon": icon, "title": TITLE})
}

fn ignore() -> Value {
    json!({
        "Name": "ignore",
        "Description": "The boot environment you should use to have unknown machines boot off their local hard drive",
        "OS": {"Name": "ignore"},
        "OnlyUnknown": true,
        "Meta": env_meta("circle thin"),
        "Templates": [
            {"Name": "pxelinux", "Path": "pxelinux.cfg/default", "Contents": PXELINUX},
            {"Name": "ipxe", "Path": "default.ipxe", "Contents": IPXE_DEFAULT},
            {"Name": "grub", "Path": "grub/grub.cfg", "Contents": GRUB_DEFAULT},
        ],
    })
}

fn local() -> Value {
    let template =
        |name: &str, path: &str, contents: &str| json!({"Name": name, "Path": path, "Contents": contents});
    json!({
        "Name": "local",
        "Description": "The boot environment you should use to have known machines boot off their local hard drive",
        "OS": {"Name": "local"},
        "Meta": env_meta("radio"),
        "Templates": [
            template("pxelinux", "pxelinux.cfg/{{.Machine.HexAddress}}", PXELINUX),
            template("ipxe", "{{.Machine.Address}}.ipxe", IPXE_EXIT),
            template("pxelinux-mac", "pxelinux.cfg/{{.Machine.MacAddr \"pxelinux\"}}", PXELINUX),
            template("ipxe-mac", "{{.Machine.MacAddr \"ipxe\"}}.ipxe", IPXE_EXIT),
            template("grub", "grub/{{.Machine.Address}}.cfg", GRUB_EXIT),
            template("grub-mac", "grub/{{.Machine.MacAddr \"grub\"}}.cfg", GRUB_EXIT),
        ],
    })
}

fn local_boot() -> Value {
    json!({
        "Name": "pxelinux-local-boot",
        "Description": "The method pxelinux should use to try to boot to the local disk",
        "Documentation": LOCAL_BOOT_MANUAL,
        "Schema": {"type": "string", "default": "localboot 0"},
    })
}

const LOCAL_BOOT_MANUAL: &str = "
The line that pxelinux is given to leave the network and start the operating system on the local disk.

`localboot 0` suits most machines. Some firmware hangs on it: try `localboot -1`, which returns to the firmware's boot order,
or `com32 chain.c32 hd0`, which starts the first disk itself.
";

const PXELINUX: &str = "DEFAULT local
PROMPT 0
TIMEOUT 10
LABEL local
{{.Param \"pxelinux-local-boot\"}}
";

const IPXE_EXIT: &str = "#!ipxe
exit
";

/// An unknown machine that was registered a moment ago finds its own file first.
const IPXE_DEFAULT: &str = "#!ipxe
chain {{.ProvisionerURL}}/${netX/mac}.ipxe && exit ||
chain tftp://{{.ProvisionerAddress}}/${netX/ip}.ipxe && exit ||
exit
";

/// The local disk: its first sector on BIOS, a loader of an installed system on UEFI, else back to the firmware.
macro_rules! grub_local {
    () => {
        "if test \"${grub_platform}\" = pc; then
  set root=(hd0)
  chainloader +1
  boot
fi
for loader in /EFI/Microsoft/Boot/bootmgfw.efi /EFI/debian/shimx64.efi /EFI/BOOT/BOOTX64.EFI; do
  if search --no-floppy --set=disk --file ${loader}; then
    chainloader (${disk})${loader}
    boot
  fi
done
exit
"
    };
}

const GRUB_EXIT: &str = concat!("set timeout=0\n", grub_local!());

/// A file for the machine itself if there is one, else the local disk.
const GRUB_DEFAULT: &str = concat!(
    "set timeout=0
if test -f (tftp)/grub/${net_default_mac}.cfg; then
  source (tftp)/grub/${net_default_mac}.cfg
elif test -f (tftp)/grub/${net_default_ip}.cfg; then
  source (tftp)/grub/${net_default_ip}.cfg
fi
",
    grub_local!()
);
