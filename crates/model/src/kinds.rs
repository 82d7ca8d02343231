//! The one list of kinds, and one file per kind.
//!
//! Adding a kind is a file here and a line in `kinds!`; its REST verbs, filters, events, help and store table follow from it.

use crate::kind::{Spec, spec};
use crate::{Address, Object, Uuid};

/// Makes [`Kind`], its tables and the [`Object`] implementations from the list below.
macro_rules! kinds {
    ($( $file:ident :: $name:ident = $prefix:literal by $key:ident ),* $(,)?) => {
        $( pub mod $file; )*
        $( pub use $file::$name; )*

        /// A kind of object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $( #[doc = concat!("`", $prefix, "`")] $name, )*
        }

        impl Kind {
            /// Every kind, in the order of the list, which is that of the prefixes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The facts about the kind.
            #[must_use]
            pub fn spec(self) -> &'static Spec {
                static SPECS: &[Spec] = &[$( spec::<$name>(Kind::$name, $prefix) ),*];
                &SPECS[self as usize]
            }

            /// The kind of that prefix.
            #[must_use]
            pub fn from_prefix(prefix: &str) -> Option<Self> {
                match prefix {
                    $( $prefix => Some(Self::$name), )*
                    _ => None,
                }
            }
        }

        $( impl Object for $name {
            const KIND: Kind = Kind::$name;

            fn key(&self) -> String {
                self.$key.key_text()
            }
        } )*
    };
}

/// A field that can be a native key.
trait KeyText {
    fn key_text(&self) -> String;
}

impl KeyText for String {
    fn key_text(&self) -> String {
        self.clone()
    }
}

impl KeyText for Uuid {
    fn key_text(&self) -> String {
        self.to_string()
    }
}

impl KeyText for Address {
    fn key_text(&self) -> String {
        self.hex()
    }
}

impl Kind {
    /// The name in URLs, events and the store, for example `machines`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        self.spec().prefix
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.prefix())
    }
}

kinds! {
    bootenv::BootEnv = "bootenvs" by name,
    catalog_item::CatalogItem = "catalog_items" by id,
    content::Content = "contents" by name,
    context::Context = "contexts" by name,
    endpoint::Endpoint = "endpoints" by id,
    info::Info = "info" by id,
    interface::Interface = "interfaces" by name,
    job::Job = "jobs" by uuid,
    lease::Lease = "leases" by addr,
    machine::Machine = "machines" by uuid,
    param::Param = "params" by name,
    plugin::Plugin = "plugins" by name,
    plugin_provider::PluginProvider = "plugin_providers" by name,
    pool::Pool = "pools" by id,
    preference::Preference = "preferences" by name,
    profile::Profile = "profiles" by name,
    reservation::Reservation = "reservations" by addr,
    role::Role = "roles" by name,
    stage::Stage = "stages" by name,
    subnet::Subnet = "subnets" by name,
    task::Task = "tasks" by name,
    template::Template = "templates" by id,
    tenant::Tenant = "tenants" by name,
    user::User = "users" by name,
    version_set::VersionSet = "version_sets" by id,
    workflow::Workflow = "workflows" by name,
}
