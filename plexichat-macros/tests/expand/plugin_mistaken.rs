pub struct Echo;
#[doc(hidden)]
pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = ::plexichat::__private::stand_in::<
    Echo,
>("echo");
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
    unsafe impl<
        P: ::plexichat::permission::PermissionType,
    > ::plexichat::permission::Has<P> for Echo {}
    impl ::plexichat::capability::events::EmittedBy<Echo> for Ready {}
};
::core::compile_error! {
    "unknown permission `NetworkAcess`; did you mean `NetworkAccess`?"
}
