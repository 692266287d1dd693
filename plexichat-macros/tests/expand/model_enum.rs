#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::plexichat::__private::serde::Serialize,
    ::plexichat::__private::serde::Deserialize,
    ::plexichat::__private::schemars::JsonSchema
)]
#[serde(crate = "::plexichat::__private::serde")]
#[schemars(crate = "::plexichat::__private::schemars")]
#[serde(deny_unknown_fields)]
pub enum Action {
    Drop,
    Replace { #[garde(length(min = 1))] with: String },
    Wait(#[garde(range(min = 1))] u8),
}
const _: () = {
    use ::plexichat::__private::garde;
    impl garde::Validate for Action {
        type Context = ();
        #[allow(
            unused_variables,
            unused_mut,
            clippy::all,
            reason = "not every type has a rule"
        )]
        fn validate_into(
            &self,
            __context: &(),
            mut __path: &mut dyn ::core::ops::FnMut() -> garde::Path,
            __report: &mut garde::Report,
        ) {
            if let Self::Replace { with: __field_0, .. } = self {
                {
                    let mut __path = garde::util::nested_path!(__path, & "with");
                    if let ::core::result::Result::Err(error) = garde::rules::length::simple::apply(
                        __field_0,
                        (1, usize::MAX),
                    ) {
                        __report.append(__path(), error);
                    }
                }
            }
            if let Self::Wait { 0: __field_0, .. } = self {
                {
                    let mut __path = garde::util::nested_path!(__path, & 0usize);
                    if let ::core::result::Result::Err(error) = garde::rules::range::apply(
                        __field_0,
                        (::core::option::Option::Some(1), ::core::option::Option::None),
                    ) {
                        __report.append(__path(), error);
                    }
                }
            }
        }
    }
};
