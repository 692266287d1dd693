//! The closed list of permissions, and the proof that a plugin declared one. Knows no plugin and no host.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a plugin may be allowed to do: one of the constants, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission(u8);

macro_rules! permissions {
    ($($(#[$doc:meta])* $type:ident = $name:literal, opens $opens:literal;)*) => {
        /// The place of each in the list.
        #[derive(Clone, Copy)]
        enum Place {
            $($type,)*
        }

        // Constants, not variants: where a variant has a type's name, the compiler shows the type with its whole path,
        // and the message that tells an author which permission to declare could not be copied into the attribute.
        #[expect(non_upper_case_globals, reason = "each is named as its type")]
        impl Permission {
            $($(#[$doc])* pub const $type: Self = Self(Place::$type as u8);)*

            /// Every permission there is, in the order of the documentation.
            pub const ALL: &'static [Permission] = &[$(Permission::$type,)*];

            /// The name in manifests, grants and messages.
            pub const fn as_str(self) -> &'static str {
                [$($name),*][self.0 as usize]
            }

            /// The name in `permissions(...)` of `#[plexichat::plugin]`.
            pub const fn type_name(self) -> &'static str {
                [$(stringify!($type)),*][self.0 as usize]
            }

            /// What it opens, in words.
            pub const fn opens(self) -> &'static str {
                [$($opens),*][self.0 as usize]
            }
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl PermissionType for $type {
                const PERMISSION: Permission = Permission::$type;
            }
        )*
    };
}

permissions! {
    /// The network: `ctx.http()` and `ctx.sockets()`.
    NetworkAccess = "network_access", opens "HTTP requests and connections to the granted hosts";
    /// Reading files in granted directories: `ctx.files()`.
    FileSystemRead = "file_system_read", opens "reading files in the granted directories";
    /// Writing files in granted directories.
    FileSystemWrite = "file_system_write", opens "writing files in the granted directories";
    /// People's data: `ctx.users()`, history, and events that carry what people wrote.
    UserDataAccess = "user_data_access", opens "people's names, their messages and events that carry them";
    /// Posting messages: `ctx.chat()`.
    PostMessages = "post_messages", opens "posting messages in rooms";
    /// Asking AI providers of the bundle, and calling what models may call: `ctx.ai()` and `ctx.tools()`.
    AiAccess = "ai_access", opens "requests to the AI providers of the bundle, and the tools of its plugins";
    /// Looking at the server as an administrator does: `ctx.admin()`.
    AdminAccess = "admin_access", opens "the server's state and figures";
}

/// A permission as a type, so that the compiler can ask for it.
pub trait PermissionType: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// Proof that the plugin `Self` declared the permission `P`.
///
/// `#[plexichat::plugin(permissions(..))]` writes the implementations. A plugin crate says
/// `#![forbid(unsafe_code)]`, under which a hand-written one does not compile.
///
/// # Safety
/// Whoever implements this vouches that the plugin's descriptor names `P`, so that the operator saw it and granted it.
#[diagnostic::on_unimplemented(
    message = "plugin `{Self}` uses `{P}` without declaring it",
    label = "needs the permission `{P}`",
    note = "declare it: `#[plexichat::plugin(permissions({P}))]`, and let the bundle grant it"
)]
pub unsafe trait Has<P: PermissionType> {}

/// The text names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission `{0}`; there are {list}", list = Permission::list())]
pub struct UnknownPermission(String);

impl Permission {
    fn list() -> String {
        Self::ALL.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.type_name())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Permission {
    fn schema_name() -> Cow<'static, str> {
        "Permission".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// A set of permissions: one bit each, so that a check is one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// No permission.
    pub const EMPTY: Self = Self(0);

    /// The set of these permissions.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index].0;
            index += 1;
        }
        Self(bits)
    }

    /// Whether the permission is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission.0) != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions in the set, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | 1 << permission.0))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_found_by_its_name() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        assert!("netwrk".parse::<Permission>().unwrap_err().to_string().contains("network_access"));
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = PermissionSet::of(&[Permission::AdminAccess, Permission::NetworkAccess]);
        assert!(set.contains(Permission::NetworkAccess) && !set.contains(Permission::PostMessages));
        assert_eq!(set.iter().collect::<PermissionSet>(), set);
        assert_eq!(set.difference(set), PermissionSet::EMPTY);
    }
}
