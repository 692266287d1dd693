//! The attributes of PlexiChat's plugins. Re-exported and documented by `plexichat-core`; knows its names, not its code.
//!
//! Each attribute is a folder that reads from the top: `parse` takes the tokens apart, `check` finds every mistake, and
//! `expand` writes data and nothing clever. The item is emitted again whatever was found.

mod config;
mod data;
mod duration;
mod errors;
mod event;
mod files;
mod handlers;
mod item;
mod locales;
mod model;
mod names;
mod options;
mod plugin;
mod role;
mod size;
#[cfg(test)]
mod snapshot;
mod suggest;
mod test;
mod text;
mod words;

use proc_macro::TokenStream;

#[expect(missing_docs, reason = "documented at the re-export, where the examples compile")]
#[proc_macro_attribute]
pub fn plugin(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = folder();
    let place = plugin::Place { package: &package, folder: folder.as_deref() };
    plugin::expand(attribute.into(), item.into(), &place).into()
}

#[expect(missing_docs, reason = "documented at the re-export, where the examples compile")]
#[proc_macro]
pub fn t(tokens: TokenStream) -> TokenStream {
    text::expand(tokens.into(), folder().as_deref()).into()
}

/// Where the crate is that is being compiled, if Cargo compiles it.
fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os("CARGO_MANIFEST_DIR").map(Into::into)
}

macro_rules! attributes {
    ($($name:ident)*) => {
        $(
            #[expect(missing_docs, reason = "documented at the re-export, where the examples compile")]
            #[proc_macro_attribute]
            pub fn $name(attribute: TokenStream, item: TokenStream) -> TokenStream {
                $name::expand(attribute.into(), item.into()).into()
            }
        )*
    };
}

attributes! { role config model handlers event test }
