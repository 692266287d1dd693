pub struct Echo;
/// What is known of the plugin without running it: a bundle names this constant.
pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = {
    #[allow(
        unused_imports,
        reason = "an inherent constant of the same name wins over the default"
    )]
    use ::plexichat::__private::{DefaultHandlers as _, DefaultSecurity as _};
    const FOUND: &[::plexichat::descriptor::Hook] = <Echo>::PLEXICHAT_SECURITY.hooks;
    const HOOKS: [::plexichat::descriptor::HookSpec; FOUND.len()] = ::plexichat::__private::hooks(
        FOUND,
        &[],
    );
    ::plexichat::Descriptor {
        name: "echo",
        package: ::plexichat::descriptor::Package {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            authors: ::core::env!("CARGO_PKG_AUTHORS"),
            license: ::core::env!("CARGO_PKG_LICENSE"),
            repository: ::core::env!("CARGO_PKG_REPOSITORY"),
            rust_version: ::core::env!("CARGO_PKG_RUST_VERSION"),
        },
        entry_point: ::core::concat!(::core::module_path!(), "::", "Echo"),
        category: "other",
        tags: &[],
        core: "^0.1",
        provides: &[],
        permissions: &[],
        requires: &[],
        hooks: &HOOKS,
        events: <Echo>::PLEXICHAT_HANDLERS.events,
        commands: <Echo>::PLEXICHAT_HANDLERS.commands,
        tools: <Echo>::PLEXICHAT_HANDLERS.tools,
        emits: &[],
        absolute_routes: &[],
        assets: &[],
        locales: &[],
        entry: ::plexichat::__private::entry::<Echo>(),
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
    impl ::plexichat::descriptor::Registered for Echo {
        const DESCRIPTOR: &'static ::plexichat::Descriptor = &PLEXICHAT_PLUGIN;
        const HANDLERS: ::plexichat::descriptor::Handlers<Self> = <Echo>::PLEXICHAT_HANDLERS;
        const SECURITY: ::plexichat::descriptor::SecurityRole<Self> = <Echo>::PLEXICHAT_SECURITY;
        const AI_PROVIDER: ::plexichat::descriptor::AiProviderRole<Self> = <Echo>::PLEXICHAT_AI_PROVIDER;
        const INTERFACE: ::plexichat::descriptor::InterfaceRole<Self> = <Echo>::PLEXICHAT_INTERFACE;
        const AUTOMATION: ::plexichat::descriptor::AutomationRole<Self> = <Echo>::PLEXICHAT_AUTOMATION;
    }
    ::plexichat::__register!(& PLEXICHAT_PLUGIN);
};
