pub struct Filter {
    words: Vec<String>,
}
/// What is known of the plugin without running it: a bundle names this constant.
pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = {
    #[allow(
        unused_imports,
        reason = "an inherent constant of the same name wins over the default"
    )]
    use ::plexichat::__private::{DefaultHandlers as _, DefaultSecurity as _};
    const FOUND: &[::plexichat::descriptor::Hook] = <Filter>::PLEXICHAT_SECURITY.hooks;
    const HOOKS: [::plexichat::descriptor::HookSpec; FOUND.len()] = ::plexichat::__private::hooks(
        FOUND,
        &[
            ::plexichat::descriptor::HookSpec {
                hook: ::plexichat::descriptor::Hook::ScanMessage,
                policy: ::plexichat::descriptor::HookPolicy {
                    timeout: ::core::time::Duration::from_millis(2000u64),
                    max_bytes: ::plexichat::descriptor::Hook::ScanMessage
                        .default_policy()
                        .max_bytes,
                    on_error: ::plexichat::descriptor::FailMode::Open,
                    required: true,
                    before: &["a"],
                    after: &["b"],
                },
            },
            ::plexichat::descriptor::HookSpec {
                hook: ::plexichat::descriptor::Hook::RewriteMessage,
                policy: ::plexichat::descriptor::HookPolicy {
                    timeout: ::core::time::Duration::from_millis(50u64),
                    max_bytes: ::plexichat::descriptor::Hook::RewriteMessage
                        .default_policy()
                        .max_bytes,
                    on_error: ::plexichat::descriptor::Hook::RewriteMessage
                        .default_policy()
                        .on_error,
                    required: false,
                    before: &[],
                    after: &[],
                },
            },
            ::plexichat::descriptor::HookSpec {
                hook: ::plexichat::descriptor::Hook::ScanFile,
                policy: ::plexichat::descriptor::HookPolicy {
                    timeout: ::plexichat::descriptor::Hook::ScanFile
                        .default_policy()
                        .timeout,
                    max_bytes: ::core::option::Option::Some(2097152u64),
                    on_error: ::plexichat::descriptor::Hook::ScanFile
                        .default_policy()
                        .on_error,
                    required: false,
                    before: &[],
                    after: &[],
                },
            },
        ],
    );
    ::plexichat::Descriptor {
        name: "filter",
        package: ::plexichat::descriptor::Package {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            authors: ::core::env!("CARGO_PKG_AUTHORS"),
            license: ::core::env!("CARGO_PKG_LICENSE"),
            repository: ::core::env!("CARGO_PKG_REPOSITORY"),
            rust_version: ::core::env!("CARGO_PKG_RUST_VERSION"),
        },
        entry_point: ::core::concat!(::core::module_path!(), "::", "Filter"),
        category: "safety",
        tags: &["words"],
        core: ">=0.1",
        provides: &[::plexichat::descriptor::Role::Security],
        permissions: &[
            ::plexichat::permission::Permission::NetworkAccess,
            ::plexichat::permission::Permission::UserDataAccess,
        ],
        requires: &[
            ::plexichat::descriptor::Requirement {
                name: "other",
                version: "^1",
            },
        ],
        hooks: &HOOKS,
        events: <Filter>::PLEXICHAT_HANDLERS.events,
        commands: <Filter>::PLEXICHAT_HANDLERS.commands,
        tools: <Filter>::PLEXICHAT_HANDLERS.tools,
        emits: &[<Filtered as ::plexichat::event::Payload>::NAME, "custom.seen"],
        absolute_routes: &["/v1/filter"],
        assets: &[],
        locales: &[],
        entry: ::plexichat::__private::entry::<Filter>(),
    }
};
const _: () = {
    #[allow(
        unused_imports,
        reason = "an inherent constant of the same name wins over the default"
    )]
    use ::plexichat::__private::{
        DefaultAiProvider as _, DefaultAutomation as _, DefaultHandlers as _,
        DefaultInterface as _, DefaultSecurity as _,
    };
    impl ::plexichat::descriptor::Registered for Filter {
        const DESCRIPTOR: &'static ::plexichat::Descriptor = &PLEXICHAT_PLUGIN;
        const HANDLERS: ::plexichat::descriptor::Handlers<Self> = <Filter>::PLEXICHAT_HANDLERS;
        const SECURITY: ::plexichat::descriptor::SecurityRole<Self> = <Filter>::PLEXICHAT_SECURITY;
        const AI_PROVIDER: ::plexichat::descriptor::AiProviderRole<Self> = <Filter>::PLEXICHAT_AI_PROVIDER;
        const INTERFACE: ::plexichat::descriptor::InterfaceRole<Self> = <Filter>::PLEXICHAT_INTERFACE;
        const AUTOMATION: ::plexichat::descriptor::AutomationRole<Self> = <Filter>::PLEXICHAT_AUTOMATION;
    }
    unsafe impl ::plexichat::permission::Has<::plexichat::permission::NetworkAccess>
    for Filter {}
    unsafe impl ::plexichat::permission::Has<::plexichat::permission::UserDataAccess>
    for Filter {}
    impl ::plexichat::capability::events::EmittedBy<Filter> for Filtered {}
    ::plexichat::__register!(& PLEXICHAT_PLUGIN);
};
const _: () = {
    #[allow(
        unused_imports,
        reason = "an inherent constant of the same name wins over the default"
    )]
    use ::plexichat::__private::{
        DefaultAiProvider as _, DefaultAutomation as _, DefaultInterface as _,
        DefaultSecurity as _,
    };
    const fn implements<T: ::plexichat::plugin::security::Security>() {}
    implements::<Filter>();
    if <Filter>::PLEXICHAT_SECURITY.role.is_none() {
        ::core::panic!(
            "`impl Security for Filter` is there without its attribute: put `#[plexichat::role]` on it, so that the host learns what it has"
        );
    }
    if !::plexichat::__private::has_hook(
        <Filter>::PLEXICHAT_SECURITY.hooks,
        ::plexichat::descriptor::Hook::ScanMessage,
    ) {
        ::core::panic!(
            "`scan_message(..)` sets the policy of a hook that `Filter` does not have: write `async fn scan_message` in its `#[plexichat::role] impl Security`, or take the policy away"
        );
    }
    if !::plexichat::__private::has_hook(
        <Filter>::PLEXICHAT_SECURITY.hooks,
        ::plexichat::descriptor::Hook::RewriteMessage,
    ) {
        ::core::panic!(
            "`rewrite_message(..)` sets the policy of a hook that `Filter` does not have: write `async fn rewrite_message` in its `#[plexichat::role] impl Security`, or take the policy away"
        );
    }
    if !::plexichat::__private::has_hook(
        <Filter>::PLEXICHAT_SECURITY.hooks,
        ::plexichat::descriptor::Hook::ScanFile,
    ) {
        ::core::panic!(
            "`scan_file(..)` sets the policy of a hook that `Filter` does not have: write `async fn scan_file` in its `#[plexichat::role] impl Security`, or take the policy away"
        );
    }
};
const _: () = if !::plexichat::__private::is_custom(
    <Filtered as ::plexichat::event::Payload>::NAME,
) {
    ::core::panic!(
        "the server alone emits this event; a plugin emits types made by `#[plexichat::event(..)]`"
    );
};
