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

#[cfg(not(feature = "registry-inventory"))]
#[doc(hidden)]
pub use imp::PLEXICHAT_PLUGINS;

/// The descriptors of all linked plugins, in no particular order.
pub fn linked() -> impl Iterator<Item = &'static Descriptor> {
    imp::entries().map(|entry| entry.0)
}

/// Refuses a bundle in which two plugins claim one name, command, custom event or absolute route. The bundle calls it in a
/// constant, so that the refusal is a compile error.
///
/// # Panics
/// On the first clash, naming both plugins and what they claim.
pub const fn assert_distinct(plugins: &[Descriptor]) {
    let mut first = 0;
    while first < plugins.len() {
        let mut second = first + 1;
        while second < plugins.len() {
            assert_pair(&plugins[first], &plugins[second]);
            second += 1;
        }
        first += 1;
    }
}

const fn assert_pair(first: &Descriptor, second: &Descriptor) {
    if same(first.name, second.name) {
        let text = Text::new().and("two plugins are named `").and(first.name).and("`: the crates `");
        text.and(first.package.name).and("` and `").and(second.package.name).and("`").panic();
    }
    let mut index = 0;
    while index < first.commands.len() {
        let name = first.commands[index].name;
        let mut other = 0;
        while other < second.commands.len() {
            if same(name, second.commands[other].name) {
                clash(first, second, "answer the command `/", name);
            }
            other += 1;
        }
        index += 1;
    }
    if let Some(name) = common(first.emits, second.emits) {
        clash(first, second, "emit the event `", name);
    }
    if let Some(path) = common(first.absolute_routes, second.absolute_routes) {
        clash(first, second, "serve the path `", path);
    }
}

const fn common(first: &[&'static str], second: &[&'static str]) -> Option<&'static str> {
    let mut index = 0;
    while index < first.len() {
        let mut other = 0;
        while other < second.len() {
            if same(first[index], second[other]) {
                return Some(first[index]);
            }
            other += 1;
        }
        index += 1;
    }
    None
}

/// Whether two texts are equal; `==` does not work in constants.
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

const fn clash(first: &Descriptor, second: &Descriptor, what: &str, name: &str) -> ! {
    let text = Text::new().and("the plugins `").and(first.name).and("` and `").and(second.name).and("` both ");
    text.and(what).and(name).and("`").panic()
}

/// A text that is put together in a constant, where `format!` does not work.
struct Text {
    bytes: [u8; 400],
    length: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; 400], length: 0 }
    }

    /// The text with another behind it, or as much of it as there is room for.
    const fn and(mut self, more: &str) -> Self {
        let mut index = 0;
        while index < more.len() && self.length < self.bytes.len() {
            self.bytes[self.length] = more.as_bytes()[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn panic(&self) -> ! {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => panic!("{}", text),
            // A character was cut in two at the end.
            Err(_) => panic!("two plugins claim the same thing, by a name that is too long to be shown"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandSpec;
    use crate::descriptor::Package;
    use crate::descriptor::sample::plugin as bare;

    const fn command(name: &'static str) -> CommandSpec {
        CommandSpec { name, help: "", method: "", arguments: || serde_json::Value::Null, fields: &[] }
    }

    // What a bundle does: this file does not compile where it fails.
    const _: () = assert_distinct(&[
        Descriptor { commands: &[command("a")], emits: &["custom.a"], ..bare("a") },
        Descriptor { commands: &[command("b")], emits: &["custom.b"], absolute_routes: &["/a"], ..bare("b") },
    ]);

    #[track_caller]
    fn check(plugins: &[Descriptor], expected: &str) {
        let panic = std::panic::catch_unwind(|| assert_distinct(plugins)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), expected);
    }

    #[test]
    fn both_plugins_and_what_they_claim_are_named() {
        let other = Package { name: "plexichat-other", ..bare("a").package };
        check(
            &[bare("x"), bare("a"), Descriptor { package: other, ..bare("a") }],
            "two plugins are named `a`: the crates `plexichat-test` and `plexichat-other`",
        );
        check(
            &[
                Descriptor { commands: const { &[command("roll"), command("help")] }, ..bare("a") },
                bare("b"),
                Descriptor { commands: const { &[command("hel"), command("help")] }, ..bare("c") },
            ],
            "the plugins `a` and `c` both answer the command `/help`",
        );
        let emits = |name| Descriptor { emits: &["custom.x"], ..bare(name) };
        check(&[emits("a"), emits("b")], "the plugins `a` and `b` both emit the event `custom.x`");
        let serves = |name| Descriptor { absolute_routes: &["/v1", "/v1/models"], ..bare(name) };
        check(&[serves("a"), serves("b")], "the plugins `a` and `b` both serve the path `/v1`");
    }

    #[test]
    fn long_names_are_cut() {
        let long: &'static str = "ä".repeat(300).leak();
        let emits: &'static [&'static str] = vec![long].leak();
        let plugin = |name| Descriptor { emits, ..bare(name) };
        let plugins = [plugin("a"), plugin("b")];
        assert!(std::panic::catch_unwind(|| assert_distinct(&plugins)).is_err());
    }

    mod registered {
        use crate::descriptor::Descriptor;
        use crate::descriptor::sample::plugin as bare;

        pub(super) const PLUGIN: Descriptor = bare("registered-by-hand");
        crate::__register!(&PLUGIN);
    }

    #[test]
    fn what_is_registered_is_linked() {
        assert_eq!(linked().filter(|plugin| plugin.name == registered::PLUGIN.name).count(), 1);
    }
}
