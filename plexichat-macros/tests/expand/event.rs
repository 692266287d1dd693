#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::plexichat::__private::serde::Serialize,
    ::plexichat::__private::serde::Deserialize,
    ::plexichat::__private::schemars::JsonSchema
)]
#[serde(crate = "::plexichat::__private::serde")]
#[schemars(crate = "::plexichat::__private::schemars")]
/// A report can be read.
pub struct ReportReady {
    pub rows: u64,
}
const _: () = {
    impl ::plexichat::event::Payload for ReportReady {
        const NAME: &'static str = "custom.report_ready";
        const SCHEMA_VERSION: u32 = 2u32;
    }
};
