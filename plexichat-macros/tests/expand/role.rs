#[::plexichat::__private::async_trait]
impl Security for Filter {
    async fn scan_message(
        &self,
        message: &MessageView<'_>,
    ) -> Result<Verdict, ScanError> {
        Ok(Verdict::Allow)
    }
}
impl Filter {
    #[doc(hidden)]
    pub(crate) const PLEXICHAT_SECURITY: ::plexichat::descriptor::SecurityRole<Self> = ::plexichat::descriptor::SecurityRole {
        hooks: &[::plexichat::descriptor::Hook::ScanMessage],
        role: ::core::option::Option::Some(|
            plugin: &Self,
        | -> &dyn ::plexichat::plugin::security::Security { plugin }),
    };
}
const _: () = if !::plexichat::__private::provides(
    <Filter as ::plexichat::descriptor::Registered>::DESCRIPTOR,
    ::plexichat::descriptor::Role::Security,
) {
    ::core::panic!(
        "the role `Security` is filled and not declared; add `provides(Security)` to the `#[plexichat::plugin(..)]` of the type"
    );
};
