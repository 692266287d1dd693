pub struct Pages;
/// What is known of the plugin without running it: a bundle names this constant.
pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = {
    #[allow(
        unused_imports,
        reason = "an inherent constant of the same name wins over the default"
    )]
    use ::plexichat::__private::{DefaultHandlers as _, DefaultSecurity as _};
    const FOUND: &[::plexichat::descriptor::Hook] = <Pages>::PLEXICHAT_SECURITY.hooks;
    const HOOKS: [::plexichat::descriptor::HookSpec; FOUND.len()] = ::plexichat::__private::hooks(
        FOUND,
        &[],
    );
    ::plexichat::Descriptor {
        name: "pages",
        package: ::plexichat::descriptor::Package {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            authors: ::core::env!("CARGO_PKG_AUTHORS"),
            license: ::core::env!("CARGO_PKG_LICENSE"),
            repository: ::core::env!("CARGO_PKG_REPOSITORY"),
            rust_version: ::core::env!("CARGO_PKG_RUST_VERSION"),
        },
        entry_point: ::core::concat!(::core::module_path!(), "::", "Pages"),
        category: "other",
        tags: &[],
        core: "^0.1",
        provides: &[],
        permissions: &[],
        requires: &[],
        hooks: &HOOKS,
        events: <Pages>::PLEXICHAT_HANDLERS.events,
        commands: <Pages>::PLEXICHAT_HANDLERS.commands,
        tools: <Pages>::PLEXICHAT_HANDLERS.tools,
        emits: &[],
        absolute_routes: &[],
        assets: &[
            ::plexichat::asset::Asset {
                path: "assets/logo.svg",
                bytes: ::core::include_bytes!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
                    "/assets/logo.svg")
                ),
            },
            ::plexichat::asset::Asset {
                path: "ui/deep/er.js",
                bytes: ::core::include_bytes!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/ui/deep/er.js")
                ),
            },
            ::plexichat::asset::Asset {
                path: "ui/page.html",
                bytes: ::core::include_bytes!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/ui/page.html")
                ),
            },
        ],
        locales: &[
            ::plexichat::asset::Locale {
                language: "de",
                source: ::core::include_str!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
                    "/locales/de.ftl")
                ),
            },
            ::plexichat::asset::Locale {
                language: "en",
                source: ::core::include_str!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"),
                    "/locales/en.ftl")
                ),
            },
        ],
        entry: ::plexichat::__private::entry::<Pages>(),
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
    impl ::plexichat::descriptor::Registered for Pages {
        const DESCRIPTOR: &'static ::plexichat::Descriptor = &PLEXICHAT_PLUGIN;
        const HANDLERS: ::plexichat::descriptor::Handlers<Self> = <Pages>::PLEXICHAT_HANDLERS;
        const SECURITY: ::plexichat::descriptor::SecurityRole<Self> = <Pages>::PLEXICHAT_SECURITY;
        const AI_PROVIDER: ::plexichat::descriptor::AiProviderRole<Self> = <Pages>::PLEXICHAT_AI_PROVIDER;
        const INTERFACE: ::plexichat::descriptor::InterfaceRole<Self> = <Pages>::PLEXICHAT_INTERFACE;
        const AUTOMATION: ::plexichat::descriptor::AutomationRole<Self> = <Pages>::PLEXICHAT_AUTOMATION;
    }
    ::plexichat::__register!(& PLEXICHAT_PLUGIN);
};
