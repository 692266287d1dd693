impl Greeter {
    /// Greets everybody who says hello.
    async fn greet(&self, event: &UserMessage) -> Result<()> {
        Ok(())
    }
    async fn audit(&self, event: &Event) -> Result<()> {
        Ok(())
    }
    /// Rolls a die.
    ///
    /// It is fair.
    async fn roll(&self, call: CommandCall, args: RollArgs) -> Result<CommandReply> {
        Ok(self.helper())
    }
    /// Says what there is.
    async fn what(&self, call: CommandCall) -> Result<CommandReply> {
        Ok(self.helper())
    }
    /// Says what the weather will be.
    async fn forecast(&self, call: ToolCall, args: ForecastArgs) -> Result<ToolAnswer> {
        Ok("rain".into())
    }
    /// Opens the window.
    async fn open(&self, call: ToolCall) -> Result<ToolAnswer> {
        Ok("it is open".into())
    }
    fn helper(&self) -> CommandReply {
        CommandReply::Nothing
    }
}
impl Greeter {
    #[doc(hidden)]
    pub(crate) const PLEXICHAT_HANDLERS: ::plexichat::descriptor::Handlers<Self> = {
        fn event_0<'a>(
            plugin: &'a Greeter,
            event: &'a ::plexichat::event::Event,
        ) -> ::plexichat::__private::BoxFuture<'a, ::plexichat::error::Result<()>> {
            ::std::boxed::Box::pin(async move {
                let outcome: ::plexichat::error::Result<()> = <Greeter>::greet(
                        plugin,
                        &*event.payload::<UserMessage>()?,
                    )
                    .await;
                outcome
            })
        }
        fn event_1<'a>(
            plugin: &'a Greeter,
            event: &'a ::plexichat::event::Event,
        ) -> ::plexichat::__private::BoxFuture<'a, ::plexichat::error::Result<()>> {
            ::std::boxed::Box::pin(async move {
                let outcome: ::plexichat::error::Result<()> = <Greeter>::audit(
                        plugin,
                        event,
                    )
                    .await;
                outcome
            })
        }
        fn command_0(
            plugin: &Greeter,
            call: ::plexichat::command::CommandCall,
        ) -> ::plexichat::__private::BoxFuture<
            '_,
            ::plexichat::error::Result<::plexichat::command::CommandReply>,
        > {
            ::std::boxed::Box::pin(async move {
                let arguments = ::plexichat::command::parse_arguments::<
                    RollArgs,
                >(&call.command, &call.arguments)?;
                let outcome: ::plexichat::error::Result<
                    ::plexichat::command::CommandReply,
                > = <Greeter>::roll(plugin, call, arguments).await;
                outcome
            })
        }
        fn command_1(
            plugin: &Greeter,
            call: ::plexichat::command::CommandCall,
        ) -> ::plexichat::__private::BoxFuture<
            '_,
            ::plexichat::error::Result<::plexichat::command::CommandReply>,
        > {
            ::std::boxed::Box::pin(async move {
                let outcome: ::plexichat::error::Result<
                    ::plexichat::command::CommandReply,
                > = <Greeter>::what(plugin, call).await;
                outcome
            })
        }
        fn tool_0(
            plugin: &Greeter,
            call: ::plexichat::tool::ToolCall,
        ) -> ::plexichat::__private::BoxFuture<
            '_,
            ::plexichat::error::Result<::plexichat::tool::ToolAnswer>,
        > {
            ::std::boxed::Box::pin(async move {
                let arguments = ::plexichat::tool::parse_arguments::<
                    ForecastArgs,
                >(&call.tool, &call.arguments)?;
                let outcome: ::plexichat::error::Result<::plexichat::tool::ToolAnswer> = <Greeter>::forecast(
                        plugin,
                        call,
                        arguments,
                    )
                    .await;
                outcome
            })
        }
        fn tool_1(
            plugin: &Greeter,
            call: ::plexichat::tool::ToolCall,
        ) -> ::plexichat::__private::BoxFuture<
            '_,
            ::plexichat::error::Result<::plexichat::tool::ToolAnswer>,
        > {
            ::std::boxed::Box::pin(async move {
                let outcome: ::plexichat::error::Result<::plexichat::tool::ToolAnswer> = <Greeter>::open(
                        plugin,
                        call,
                    )
                    .await;
                outcome
            })
        }
        ::plexichat::descriptor::Handlers {
            events: &[
                ::plexichat::descriptor::EventSpec {
                    method: "greet",
                    patterns: &["user_message"],
                    own: false,
                },
                ::plexichat::descriptor::EventSpec {
                    method: "audit",
                    patterns: &["user_login", "custom.report_ready"],
                    own: true,
                },
            ],
            event_calls: &[event_0, event_1],
            commands: &[
                ::plexichat::command::CommandSpec {
                    name: "roll",
                    help: "Rolls a die.\n\nIt is fair.",
                    method: "roll",
                    arguments: ::plexichat::__private::arguments_schema::<RollArgs>,
                    fields: <RollArgs as ::plexichat::command::Model>::FIELDS,
                },
                ::plexichat::command::CommandSpec {
                    name: "what",
                    help: "Says what there is.",
                    method: "what",
                    arguments: ::plexichat::__private::no_arguments,
                    fields: &[],
                },
            ],
            command_calls: &[command_0, command_1],
            tools: &[
                ::plexichat::tool::ToolSpec {
                    name: "forecast",
                    help: "Says what the weather will be.",
                    method: "forecast",
                    arguments: ::plexichat::__private::arguments_schema::<ForecastArgs>,
                    approval: ::plexichat::tool::Approval::Never,
                },
                ::plexichat::tool::ToolSpec {
                    name: "open_window",
                    help: "Opens the window.",
                    method: "open",
                    arguments: ::plexichat::__private::no_arguments,
                    approval: ::plexichat::tool::Approval::Always,
                },
            ],
            tool_calls: &[tool_0, tool_1],
        }
    };
}
const _: () = {
    const fn is_plugin<T: ::plexichat::descriptor::Registered>() {}
    is_plugin::<Greeter>();
};
const _: () = {
    const fn sees_content<
        T: ::plexichat::permission::Has<::plexichat::permission::UserDataAccess>,
    >() {}
    sees_content::<Greeter>();
};
const _: () = if !::plexichat::__private::same(
    <UserMessage as ::plexichat::event::Payload>::NAME,
    "user_message",
) {
    ::core::panic!(
        "`#[on(\"user_message\")]` and the type of `greet` do not fit: `UserMessage` is the data of another event; take `&Event`, or the type of `user_message`"
    );
};
