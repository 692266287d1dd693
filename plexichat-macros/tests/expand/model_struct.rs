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
            context: &(),
            mut path: &mut dyn ::core::ops::FnMut() -> garde::Path,
            report: &mut garde::Report,
        ) {
            if let Self { count: field_0, .. } = self {
                {
                    let mut path = garde::util::nested_path!(path, & "count");
                    if let ::core::result::Result::Err(error) = garde::rules::range::apply(
                        field_0,
                        (::core::option::Option::None, ::core::option::Option::Some(20)),
                    ) {
                        report.append(path(), error);
                    }
                }
            }
        }
    }
};
