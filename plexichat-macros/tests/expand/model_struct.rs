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
pub struct RollArgs {
    #[garde(range(max = 20))]
    pub count: u8,
    #[serde(rename = "d")]
    pub sides: Option<u8>,
}
const _: () = {
    impl ::plexichat::command::Model for RollArgs {
        const FIELDS: &'static [&'static str] = &["count", "d"];
    }
};
const _: () = {
    use ::plexichat::__private::garde;
    impl garde::Validate for RollArgs {
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
            if let Self { count: __field_0, .. } = self {
                {
                    let mut __path = garde::util::nested_path!(__path, & "count");
                    if let ::core::result::Result::Err(error) = garde::rules::range::apply(
                        __field_0,
                        (::core::option::Option::None, ::core::option::Option::Some(20)),
                    ) {
                        __report.append(__path(), error);
                    }
                }
            }
        }
    }
};
