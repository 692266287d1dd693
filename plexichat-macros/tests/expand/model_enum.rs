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
            context: &(),
            mut path: &mut dyn ::core::ops::FnMut() -> garde::Path,
            report: &mut garde::Report,
        ) {
            if let Self::Replace { with: field_0, .. } = self {
                {
                    let mut path = garde::util::nested_path!(path, & "with");
                    if let ::core::result::Result::Err(error) = garde::rules::length::simple::apply(
                        field_0,
                        (1, usize::MAX),
                    ) {
                        report.append(path(), error);
                    }
                }
            }
            if let Self::Wait { 0: field_0, .. } = self {
                {
                    let mut path = garde::util::nested_path!(path, & 0usize);
                    if let ::core::result::Result::Err(error) = garde::rules::range::apply(
                        field_0,
                        (::core::option::Option::Some(1), ::core::option::Option::None),
                    ) {
                        report.append(path(), error);
                    }
                }
            }
        }
    }
};
