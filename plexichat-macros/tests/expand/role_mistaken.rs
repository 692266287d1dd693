#[::plexichat::__private::async_trait]
impl Security for Filter {}
#[allow(dead_code, reason = "the crate does not compile")]
impl Filter {
    async fn scan_mesage(&self) {}
}
impl Filter {
    #[doc(hidden)]
    pub(crate) const PLEXICHAT_SECURITY: ::plexichat::descriptor::SecurityRole<Self> = ::plexichat::descriptor::SecurityRole {
        hooks: &[],
        role: ::core::option::Option::Some(|
            plugin: &Self,
        | -> &dyn ::plexichat::plugin::security::Security { plugin }),
    };
}
::core::compile_error! {
    "unknown method `scan_mesage` of `Security`; did you mean `scan_message`?"
}
