//! `#[plexichat::handlers]`: the events a plugin handles, `#[on(..)]`, the commands it answers, `#[command("..")]`, and the
//! tools that it gives models, `#[tool("..")]`.

mod check;
mod expand;
mod parse;
mod tool;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::handlers]`", &errors);
    let Ok(mut block) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    let methods = parse::methods(&mut block, &errors);
    let spec = check::check(&block, methods, &errors);
    let handlers = errors.is_empty().then(|| expand::handlers(&spec));
    let errors = errors.into_tokens();
    quote!(#block #handlers #errors)
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands() {
        let block = quote! {
            impl Greeter {
                /// Greets everybody who says hello.
                #[on("user_message")]
                async fn greet(&self, event: &UserMessage) -> Result<()> {
                    Ok(())
                }

                #[on("user_login", "custom.report_ready", own)]
                async fn audit(&self, event: &Event) -> Result<()> {
                    Ok(())
                }

                /// Rolls a die.
                ///
                /// It is fair.
                #[command("roll")]
                async fn roll(&self, call: CommandCall, args: RollArgs) -> Result<CommandReply> {
                    Ok(self.helper())
                }

                /// Says what there is.
                #[command("what")]
                async fn what(&self, call: CommandCall) -> Result<CommandReply> {
                    Ok(self.helper())
                }

                /// Says what the weather will be.
                #[tool("forecast", approval = "never")]
                async fn forecast(&self, call: ToolCall, args: ForecastArgs) -> Result<ToolAnswer> {
                    Ok("rain".into())
                }

                /// Opens the window.
                #[tool("open_window")]
                async fn open(&self, call: ToolCall) -> Result<ToolAnswer> {
                    Ok("it is open".into())
                }

                fn helper(&self) -> CommandReply {
                    CommandReply::Nothing
                }
            }
        };
        snapshot::check(expand(quote!(), block), expect_file!["../../tests/expand/handlers.rs"]);
    }
}
