fn texts() {
    {
        const _: &str = ::core::include_str!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/locales/en.ftl")
        );
        ::plexichat::text::Text::key("plain")
    };
    {
        const _: &str = ::core::include_str!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/locales/en.ftl")
        );
        ::plexichat::text::Text::key("up").with("count", &(1 + 2)).with("time", &(time))
    };
}
