//! Finds every mistake in a block of handlers: names of events, commands and tools, signatures, documentation.

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::{FnArg, GenericArgument, ItemImpl, LitStr, PathArguments, ReturnType, Signature, Type};

use super::parse::{Call, Method};
use super::tool::{self, Tool};
use crate::errors::Errors;
use crate::words::{CUSTOM_PREFIX, EVENTS, EVENTS_WITH_CONTENT};
use crate::{item, names, suggest};

/// Where the attribute stands.
pub(crate) const PLACE: &str = "`#[plexichat::handlers]` stands on the plugin's own block: `impl MyPlugin { .. }`";

const EVENT_SHAPE: &str =
    "an event's handler is `async fn name(&self, event: &UserMessage) -> Result<()>`, or takes `&Event`";
const COMMAND_SHAPE: &str =
    "a command is `async fn name(&self, call: CommandCall, args: Args) -> Result<CommandReply>`, or takes no `args`";

/// A block, checked.
pub(crate) struct Spec {
    pub(crate) plugin: Type,
    pub(crate) events: Vec<Event>,
    pub(crate) commands: Vec<Command>,
    pub(crate) tools: Vec<Tool>,
}

/// An event handler.
pub(crate) struct Event {
    pub(crate) method: Ident,
    pub(crate) names: Vec<LitStr>,
    pub(crate) own: bool,
    /// The type of the event's data, where the handler is not one for any event.
    pub(crate) payload: Option<Type>,
    /// Where what it returns is written.
    pub(crate) returned: Span,
}

impl Event {
    /// The names whose data carries what people wrote.
    pub(crate) fn with_content(&self) -> impl Iterator<Item = &LitStr> {
        self.names.iter().filter(|name| name.value() == "*" || EVENTS_WITH_CONTENT.contains(&name.value().as_str()))
    }
}

/// A command.
pub(crate) struct Command {
    pub(crate) method: Ident,
    pub(crate) name: LitStr,
    pub(crate) help: String,
    pub(crate) arguments: Option<Type>,
    /// Where what it returns is written.
    pub(crate) returned: Span,
}

/// Checks a block with the methods that have an attribute.
pub(crate) fn check(block: &ItemImpl, methods: Vec<Method>, errors: &Errors) -> Spec {
    if block.trait_.is_some() {
        errors.under(&block.self_ty, PLACE);
    }
    if !block.generics.params.is_empty() {
        errors.under(&block.generics, "a plugin has no generic parameters, so its handlers have none");
    }
    if methods.is_empty() && errors.is_empty() {
        errors.under(
            &block.self_ty,
            "this block handles nothing; put `#[on(\"user_message\")]`, `#[command(\"roll\")]` or `#[tool(\"forecast\")]` on \
             a method",
        );
    }
    let mut spec =
        Spec { plugin: (*block.self_ty).clone(), events: Vec::new(), commands: Vec::new(), tools: Vec::new() };
    for method in methods {
        match method.call {
            Call::On { names, own } => spec.events.extend(event(&method.signature, names, own, errors)),
            Call::Command { name } => {
                let command = command(&method.signature, name, method.documentation, errors);
                if let Some(command) = command {
                    let twice = spec.commands.iter().any(|other| other.name.value() == command.name.value());
                    if twice {
                        errors.under(&command.name, format!("command `{}` is there twice", command.name.value()));
                    }
                    spec.commands.push(command);
                }
            }
            Call::Tool { name, approval } => {
                let tool = tool::check(&method.signature, name, approval, method.documentation, errors);
                if let Some(tool) = tool {
                    if spec.tools.iter().any(|other| other.name.value() == tool.name.value()) {
                        errors.under(&tool.name, format!("tool `{}` is there twice", tool.name.value()));
                    }
                    spec.tools.push(tool);
                }
            }
        }
    }
    spec
}

fn event(signature: &Signature, names: Vec<LitStr>, own: bool, errors: &Errors) -> Option<Event> {
    for (index, name) in names.iter().enumerate() {
        if let Err(message) = event_name(&name.value()) {
            errors.under(name, message);
        } else if names[..index].iter().any(|other| other.value() == name.value()) {
            errors.under(name, format!("event `{}` is named twice", name.value()));
        }
    }
    let [taken] = typed_arguments(signature, EVENT_SHAPE, errors)?[..] else {
        errors.under(&signature.ident, EVENT_SHAPE);
        return None;
    };
    let Type::Reference(reference) = taken else {
        errors.under(taken, format!("the event is lent: write `&` in front of the type; {EVENT_SHAPE}"));
        return None;
    };
    returns(signature, "()", EVENT_SHAPE, errors);
    let payload = (item::last_word(&reference.elem).as_deref() != Some("Event")).then(|| (*reference.elem).clone());
    if let Some(payload) = &payload
        && (names.len() > 1 || names.iter().any(|name| name.value() == "*"))
    {
        errors.under(
            payload,
            "this handler gets events of several types; take `&Event` and ask it for `payload::<..>()`",
        );
    }
    Some(Event { method: signature.ident.clone(), names, own, payload, returned: signature.output.span() })
}

/// Whether an event of this name can come.
fn event_name(name: &str) -> Result<(), String> {
    if name == "*" || EVENTS.contains(&name) {
        return Ok(());
    }
    if let Some(bare) = name.strip_prefix(CUSTOM_PREFIX) {
        return names::event(bare);
    }
    if name.contains('*') {
        return Err(format!("`{name}` is no pattern: `*` stands alone, for every event"));
    }
    if suggest::nearest(name, EVENTS).is_some() {
        return Err(suggest::unknown("event", name, EVENTS));
    }
    let own = if names::event(name).is_ok() {
        format!("; an event of a plugin is written with its prefix, `{CUSTOM_PREFIX}{name}`")
    } else {
        format!("; an event of a plugin is written with its prefix, such as `{CUSTOM_PREFIX}report_ready`")
    };
    Err(format!("unknown event `{name}`{own}; the server's are listed in `plexichat::event::catalog`"))
}

fn command(signature: &Signature, name: LitStr, help: String, errors: &Errors) -> Option<Command> {
    if let Err(message) = names::command(&name.value()) {
        errors.under(&name, message);
    }
    if help.is_empty() {
        errors.under(
            &signature.ident,
            format!(
                "command `{}` has no documentation; write `/// ..` above it: people read it as the help",
                name.value()
            ),
        );
    }
    let taken = typed_arguments(signature, COMMAND_SHAPE, errors)?;
    let ([call] | [call, _]) = taken[..] else {
        errors.under(&signature.ident, COMMAND_SHAPE);
        return None;
    };
    if item::last_word(call).as_deref() != Some("CommandCall") {
        errors.under(call, format!("a command takes `CommandCall` first; {COMMAND_SHAPE}"));
    }
    returns(signature, "CommandReply", COMMAND_SHAPE, errors);
    Some(Command {
        method: signature.ident.clone(),
        name,
        help,
        arguments: taken.get(1).map(|ty| (*ty).clone()),
        returned: signature.output.span(),
    })
}

/// The types behind `&self` of an asynchronous method.
pub(super) fn typed_arguments<'a>(signature: &'a Signature, shape: &str, errors: &Errors) -> Option<Vec<&'a Type>> {
    if signature.asyncness.is_none() {
        errors.under(signature.fn_token, format!("handlers are asynchronous; {shape}"));
    }
    if !signature.generics.params.is_empty() {
        errors.under(&signature.generics, format!("nobody would choose these parameters; {shape}"));
        return None;
    }
    let mut arguments = signature.inputs.iter();
    match arguments.next() {
        Some(FnArg::Receiver(receiver)) if item::is_shared_self(receiver) => {}
        Some(FnArg::Receiver(receiver)) => {
            errors.under(receiver, format!("calls run side by side and share the plugin; write `&self`; {shape}"));
        }
        _ => {
            errors.under(&signature.ident, format!("a handler is a method; {shape}"));
            return None;
        }
    }
    let types = arguments.map(|argument| match argument {
        FnArg::Typed(argument) => Some(&*argument.ty),
        FnArg::Receiver(_) => None,
    });
    types.collect()
}

/// Whether the method is written to return `Result<wanted>`.
pub(super) fn returns(signature: &Signature, wanted: &str, shape: &str, errors: &Errors) {
    let ReturnType::Type(_, returned) = &signature.output else {
        errors.under(&signature.ident, format!("`{}` returns nothing; {shape}", signature.ident));
        return;
    };
    let fits = item::last_word(returned).as_deref() == Some("Result")
        && first_argument(returned).is_none_or(|first| match wanted {
            "()" => item::is_unit(first),
            _ => item::last_word(first).as_deref() == Some(wanted),
        });
    if !fits {
        errors.under(returned, format!("`{}` returns another type; {shape}", signature.ident));
    }
}

/// The type `T` of `Result<T, ..>`.
fn first_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
