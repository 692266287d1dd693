#[derive(
    ::core::clone::Clone,
    ::plexichat::__private::serde::Serialize,
    ::plexichat::__private::serde::Deserialize,
    ::plexichat::__private::schemars::JsonSchema
)]
#[serde(crate = "::plexichat::__private::serde")]
#[schemars(crate = "::plexichat::__private::schemars")]
#[serde(deny_unknown_fields)]
/// Settings.
#[derive(Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// How long it waits.
    #[garde(range(min = 1, max = 600))]
    #[serde(default = "ten")]
    pub wait_secs: u64,
    /// What it says.
    #[garde(inner(length(chars, max = 80), custom(polite)))]
    pub words: Vec<String>,
    /// Whom it asks.
    pub key: Secret,
}
const _: () = {
    use ::plexichat::__private::garde;
    impl garde::Validate for Config {
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
            if let Self { wait_secs: __field_0, words: __field_1, .. } = self {
                {
                    let mut __path = garde::util::nested_path!(__path, & "wait-secs");
                    if let ::core::result::Result::Err(error) = garde::rules::range::apply(
                        __field_0,
                        (
                            ::core::option::Option::Some(1),
                            ::core::option::Option::Some(600),
                        ),
                    ) {
                        __report.append(__path(), error);
                    }
                }
                {
                    let mut __path = garde::util::nested_path!(__path, & "words");
                    garde::rules::inner::apply(
                        __field_1,
                        |__element, __key| {
                            let mut __path = garde::util::nested_path!(__path, __key);
                            if let ::core::result::Result::Err(error) = garde::rules::length::chars::apply(
                                __element,
                                (0usize, 80),
                            ) {
                                __report.append(__path(), error);
                            }
                            if let ::core::result::Result::Err(error) = polite(__element)
                                .map_err(::plexichat::__private::invalid)
                            {
                                __report.append(__path(), error);
                            }
                        },
                    );
                }
            }
        }
    }
};
const _: () = {
    impl ::plexichat::plugin::Config for Config {}
};
