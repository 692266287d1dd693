//! How a plugin gets into the binary: the only file that knows whether linkme or inventory gathers them.

use crate::descriptor::Descriptor;

/// What is gathered: a plugin's descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Entry(pub &'static Descriptor);

#[cfg(not(feature = "registry-inventory"))]
mod imp {
    use super::Entry;

    /// The plugins that the linker gathered.
    #[linkme::distributed_slice]
    pub static PLEXICHAT_PLUGINS: [Entry];

    pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
        PLEXICHAT_PLUGINS.iter()
    }
}

#[cfg(feature = "registry-inventory")]
mod imp {
    use super::Entry;

    inventory::collect!(Entry);

    pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
        inventory::iter::<Entry>()
    }
}

#[doc(hidden)]
pub use imp::*;

/// The descriptors of all linked plugins, in no particular order.
pub fn linked() -> impl Iterator<Item = &'static Descriptor> {
    imp::entries().map(|entry| entry.0)
}

/// Puts a descriptor where the linker gathers it. `#[plexichat::plugin]` writes this line.
#[cfg(not(feature = "registry-inventory"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($descriptor:expr) => {
        #[$crate::__private::linkme::distributed_slice($crate::registry::PLEXICHAT_PLUGINS)]
        #[linkme(crate = $crate::__private::linkme)]
        static PLEXICHAT_ENTRY: $crate::registry::Entry = $crate::registry::Entry($descriptor);
    };
}

/// Puts a descriptor where the linker gathers it. `#[plexichat::plugin]` writes this line.
#[cfg(feature = "registry-inventory")]
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($descriptor:expr) => {
        $crate::__private::inventory::submit! { $crate::registry::Entry($descriptor) }
    };
}
