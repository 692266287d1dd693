//! The words of attempts to sign in, as security plugins see them. Knows no account and no password.

use std::net::IpAddr;

use crate::id::UserId;

/// Somebody wants to sign in. The password is not among what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginAttempt {
    /// The name that was given. Anybody can give any.
    pub name: String,
    /// Whose name it is, where there is such a person.
    pub user_id: Option<UserId>,
    /// Where the attempt comes from, behind proxies that the operator trusts.
    pub address: Option<IpAddr>,
    /// What the client calls itself. Anybody can write anything.
    pub user_agent: Option<String>,
    /// How.
    pub method: LoginMethod,
}

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginMethod {
    /// With a password.
    Password,
    /// A new account signs in for the first time.
    Registration,
}

impl LoginMethod {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Registration => "registration",
        }
    }
}

impl LoginAttempt {
    /// An attempt of which nothing but the name and the way is known. Hosts and tests make these.
    pub fn new(name: impl Into<String>, method: LoginMethod) -> Self {
        Self { name: name.into(), user_id: None, address: None, user_agent: None, method }
    }

    /// Whose name it is.
    #[must_use]
    pub fn of(mut self, user_id: Option<UserId>) -> Self {
        self.user_id = user_id;
        self
    }

    /// Where it comes from, and what the client calls itself.
    #[must_use]
    pub fn from(mut self, address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        self.address = address;
        self.user_agent = user_agent.map(str::to_owned);
        self
    }
}
