//! `#[plexichat::role]`: makes an implementation of a role's trait usable behind `dyn`, and records what it has.

mod check;
mod expand;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::role]`", &errors);
    let Ok(block) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    let Some(spec) = check::check(&block, &errors) else {
        return item::with_errors(tokens, errors);
    };
    let block = expand::block(block, &spec, errors.is_empty());
    let errors = errors.into_tokens();
    quote!(#block #errors)
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
            impl Security for Filter {
                async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
                    Ok(Verdict::Allow)
                }
            }
        };
        snapshot::check(expand(quote!(), block), expect_file!["../../tests/expand/role.rs"]);
    }

    #[test]
    fn keeps_what_does_not_fit_beside_the_block() {
        let block = quote! {
            impl Security for Filter {
                async fn scan_mesage(&self) {}
            }
        };
        snapshot::check(expand(quote!(), block), expect_file!["../../tests/expand/role_mistaken.rs"]);
    }
}
