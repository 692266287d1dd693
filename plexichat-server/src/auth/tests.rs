//! The life of tokens, from the first one to the last revocation.

use std::time::Duration;

use plexichat::pipeline::{Access, MessageStore};

use super::*;
use crate::data_dir::DataDir;
use crate::store::{
    AccessChange, InvitationId, InvitationInfo, NewRoom, NewSession, NewUser, RegisterError, Rotation, SessionId,
    SessionInfo,
};

struct Fixture {
    data_dir: DataDir,
    store: Store,
    authenticator: Authenticator,
    _directory: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = DataDir::open(directory.path()).expect("opens");
    let store = Store::open(&data_dir.database()).expect("opens");
    Fixture { authenticator: Authenticator::new(store.clone()), data_dir, store, _directory: directory }
}

fn request(scopes: Option<Vec<Scope>>, expires_in: Option<Duration>) -> TokenRequest {
    let expires_at = expires_in.map(|span| Time::from_micros(Time::now().as_micros() + span.as_micros() as i64));
    TokenRequest { name: "test".into(), scopes, expires_at }
}

#[tokio::test]
async fn the_first_start_writes_a_token_that_opens_everything() {
    let Fixture { data_dir, store, authenticator, .. } = &fixture();
    let made = first_administrator(store, data_dir, None).await.expect("makes one");
    let FirstAdministrator::Generated(user, secret) = &made else { panic!("{made:?}") };
    let written = std::fs::read_to_string(data_dir.admin_token()).expect("the file");
    assert_eq!(written.trim_end(), secret.expose());
    assert!(!format!("{made:?}").contains(secret.expose()), "no output has the secret");

    let principal = authenticator.authenticate(written.trim_end()).await.expect("is accepted");
    assert_eq!(principal.user(), user);
    assert!(Scope::ALL.into_iter().all(|scope| principal.may(scope)));

    let again = first_administrator(store, data_dir, None).await.expect("looks");
    assert!(matches!(again, FirstAdministrator::There));
    let untouched = std::fs::read_to_string(data_dir.admin_token()).expect("the file");
    assert_eq!(untouched, written);
}

#[tokio::test]
async fn the_operator_may_give_the_first_token() {
    let Fixture { data_dir, store, authenticator, .. } = &fixture();
    for wrong in ["", "too-short", "a-token with-a-blank-in-it", "ein-schlüssel-mit-umlaut", &"x".repeat(257)] {
        let error = first_administrator(store, data_dir, Some(Secret::new(wrong))).await.expect_err("is refused");
        assert!(matches!(error, FirstAdministratorError::Given { .. }), "{error}");
        assert!(wrong.is_empty() || !error.to_string().contains(wrong), "the secret is not repeated: {error}");
    }
    let given = "correct-horse-battery-staple";
    let made = first_administrator(store, data_dir, Some(Secret::new(given))).await.expect("makes one");
    assert!(matches!(made, FirstAdministrator::Given(_)));
    assert!(!data_dir.admin_token().exists());
    assert_eq!(authenticator.authenticate(given).await.expect("is accepted").user().role, Role::Admin);
}

#[tokio::test]
async fn a_token_is_stored_as_its_hash_only() {
    let Fixture { data_dir, store, authenticator, .. } = &fixture();
    let user = store.create_user("ann", Role::User).await.expect("makes");
    let (secret, _) = authenticator.create(&user, request(None, None), Act::system()).await.expect("makes");
    store.close().await;
    let bits = secret.expose().strip_prefix(TOKEN_PREFIX).expect("the prefix").as_bytes().to_vec();
    for file in std::fs::read_dir(data_dir.path()).expect("lists") {
        let content = std::fs::read(file.expect("a file").path()).expect("reads");
        assert!(!content.windows(bits.len()).any(|window| window == bits));
    }
}

#[tokio::test]
async fn scopes_narrow_and_never_widen() {
    let Fixture { store, authenticator, .. } = &fixture();
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let check = async |scopes: Option<Vec<Scope>>, may: &[Scope]| {
        let (secret, _) = authenticator.create(&ann, request(scopes, None), Act::system()).await.expect("makes");
        let principal = authenticator.authenticate(secret.expose()).await.expect("is accepted");
        let found: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| principal.may(*scope)).collect();
        assert_eq!(found, may);
    };
    check(None, &[Scope::Read, Scope::Write, Scope::Ai]).await;
    check(Some(vec![Scope::Read, Scope::Read]), &[Scope::Read]).await;

    let beyond = authenticator.create(&ann, request(Some(vec![Scope::Admin]), None), Act::system()).await;
    assert!(matches!(beyond, Err(CreateTokenError::Scope(Scope::Admin))));
    let none = authenticator.create(&ann, request(Some(vec![]), None), Act::system()).await;
    assert!(matches!(none, Err(CreateTokenError::NoScope)));
    let nameless = TokenRequest { name: "  ".into(), ..request(None, None) };
    let nameless = authenticator.create(&ann, nameless, Act::system()).await;
    assert!(matches!(nameless, Err(CreateTokenError::Create(CreateError::Name { .. }))));
}

#[tokio::test]
async fn unknown_tokens_are_refused() {
    let Fixture { authenticator, .. } = &fixture();
    let unknown = token::generate(TOKEN_PREFIX).expect("random numbers");
    for token in ["", "plx_", unknown.expose(), &"x".repeat(100_000)] {
        assert_eq!(
            authenticator.authenticate(token).await.expect_err("is refused"),
            AuthError::Unknown { what: "token" }
        );
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_although_it_was_remembered() {
    let Fixture { store, authenticator, .. } = &fixture();
    let user = store.create_user("ann", Role::User).await.expect("makes");
    let past = TokenRequest { expires_at: Some(Time::from_micros(0)), ..request(None, None) };
    assert!(matches!(authenticator.create(&user, past, Act::system()).await, Err(CreateTokenError::Expired)));

    let short = request(None, Some(Duration::from_millis(300)));
    let (secret, _) = authenticator.create(&user, short, Act::system()).await.expect("makes");
    let principal = authenticator.authenticate(secret.expose()).await.expect("is accepted");
    let ended = tokio::time::timeout(Duration::from_secs(10), authenticator.ended(&principal)).await;
    assert_eq!(ended, Ok(AuthError::Expired { what: "token" }));
    assert_eq!(
        authenticator.authenticate(secret.expose()).await.expect_err("is refused"),
        AuthError::Expired { what: "token" }
    );
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_open_connections_hear_of_it() {
    let Fixture { store, authenticator, .. } = &fixture();
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let bob = store.create_user("bob", Role::User).await.expect("makes");
    let (secret, info) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    let (other, _) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    let principal = authenticator.authenticate(secret.expose()).await.expect("is accepted");
    let open = tokio::spawn({
        let authenticator = authenticator.clone();
        async move { authenticator.ended(&principal).await }
    });

    assert!(!authenticator.revoke(info.id, Some(bob.id), Act::system()).await.expect("looks"), "it is not his");
    assert!(authenticator.authenticate(secret.expose()).await.is_ok());
    assert!(authenticator.revoke(info.id, Some(ann.id), Act::system()).await.expect("revokes"));
    assert_eq!(
        authenticator.authenticate(secret.expose()).await.expect_err("is refused"),
        AuthError::Unknown { what: "token" }
    );
    let heard = tokio::time::timeout(Duration::from_secs(1), open).await.expect("within a second");
    assert_eq!(heard.expect("no panic"), AuthError::Unknown { what: "token" });
    assert!(authenticator.authenticate(other.expose()).await.is_ok(), "the other one still counts");
    assert!(!authenticator.revoke(info.id, None, Act::system()).await.expect("looks"), "it is gone");
    assert_eq!(store.tokens(Some(ann.id)).await.expect("lists").len(), 1);
    assert_eq!(store.tokens(None).await.expect("lists").len(), 1);
}

/// A session that began so long ago, with its secret; nothing is told of it.
async fn session(fixture: &Fixture, user: &User, age: Duration) -> (Secret, SessionId) {
    let secret = token::generate(SESSION_PREFIX).expect("random numbers");
    let began = Time::from_micros(Time::now().as_micros() - age.as_micros() as i64);
    let info = SessionInfo {
        id: SessionId::new(),
        user_id: user.id,
        created_at: began,
        rotated_at: began,
        expires_at: session::later(began, SESSION_TIME),
        ip: "192.0.2.1".into(),
        user_agent: None,
    };
    let (id, hash) = (info.id, token::hash(secret.expose()));
    fixture.store.open_session(NewSession { info, hash }, None, Act::system()).await.expect("begins");
    (secret, id)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_session_has_another_secret_each_day() {
    let fixture = fixture();
    let Fixture { store, authenticator, .. } = &fixture;
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let (young, _) = session(&fixture, &ann, DAY / 2).await;
    let principal = authenticator.authenticate_session(young.expose()).await.expect("is accepted");
    assert_eq!(authenticator.rotate_in_time(&principal).await, Ok(None));

    let (first, id) = session(&fixture, &ann, DAY * 2).await;
    let principal = authenticator.authenticate_session(first.expose()).await.expect("is accepted");
    let again = authenticator.authenticate_session(first.expose()).await.expect("is accepted");
    let second = authenticator.rotate_in_time(&principal).await.expect("rotates").expect("another secret");
    assert_eq!(authenticator.rotate_in_time(&again).await, Ok(None), "two requests at once give it one");

    // Both count for a minute: requests were under way.
    let late = authenticator.authenticate_session(first.expose()).await.expect("counts still");
    assert_eq!(authenticator.rotate(&late).await, Ok(None), "whoever has the old one does not get the next");
    let fresh = authenticator.authenticate_session(second.expose()).await.expect("counts");
    assert_eq!(fresh.credential(), Credential::Session(id));
    assert!(fresh.expires_at() > principal.expires_at(), "a session that is used lasts");
    assert_eq!(authenticator.rotate_in_time(&fresh).await, Ok(None));

    let over = Rotation {
        id,
        from: token::hash(second.expose()),
        to: [7; 32],
        old_until: Time::from_micros(Time::now().as_micros() - 1),
        expires_at: session::later(Time::now(), SESSION_TIME),
    };
    authenticator.inner.store.rotate_session(over).await.expect("rotates");
    authenticator.inner.forget(|_| true);
    for secret in [first, second] {
        let refused = authenticator.authenticate_session(secret.expose()).await.expect_err("is refused");
        assert_eq!(refused, AuthError::Unknown { what: "session" });
    }
}

#[tokio::test]
async fn a_session_is_no_token_and_ends_with_its_time() {
    let fixture = fixture();
    let Fixture { store, authenticator, .. } = &fixture;
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let (secret, _) = session(&fixture, &ann, DAY).await;
    assert!(authenticator.authenticate_session(secret.expose()).await.is_ok());
    assert!(authenticator.authenticate(secret.expose()).await.is_err(), "remembered or not");
    let (token, _) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    assert!(authenticator.authenticate(token.expose()).await.is_ok());
    assert!(authenticator.authenticate_session(token.expose()).await.is_err(), "remembered or not");

    let (old, _) = session(&fixture, &ann, SESSION_TIME + DAY).await;
    let refused = authenticator.authenticate_session(old.expose()).await.expect_err("is refused");
    assert_eq!(refused, AuthError::Expired { what: "session" });
}

/// Fault 73: what ends a person's credentials ends all of them, on open connections too, and nobody else's.
#[tokio::test]
async fn whoever_is_shut_out_is_out_everywhere() {
    let fixture = fixture();
    let Fixture { store, authenticator, .. } = &fixture;
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let bob = store.create_user("bob", Role::User).await.expect("makes");
    let wait = |principal: Arc<Principal>| {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { authenticator.ended(&principal).await })
    };
    let (secret, _) = session(&fixture, &ann, Duration::ZERO).await;
    let (token, _) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    let (others, _) = authenticator.create(&bob, request(None, None), Act::system()).await.expect("makes");
    let by_session = wait(authenticator.authenticate_session(secret.expose()).await.expect("is accepted"));
    let by_token = wait(authenticator.authenticate(token.expose()).await.expect("is accepted"));
    let bystander = wait(authenticator.authenticate(others.expose()).await.expect("is accepted"));

    authenticator.set_disabled(ann.id, true, Act::system()).await.expect("shuts out");
    for open in [by_session, by_token] {
        let heard = tokio::time::timeout(Duration::from_secs(1), open).await.expect("within a second");
        assert!(matches!(heard.expect("no panic"), AuthError::Unknown { .. }));
    }
    assert!(authenticator.authenticate(token.expose()).await.is_err());
    assert!(authenticator.authenticate_session(secret.expose()).await.is_err());
    let refused = authenticator.create(&ann, request(None, None), Act::system()).await;
    assert!(matches!(refused, Err(CreateTokenError::NoUser)), "nor does anybody make a token for her");
    assert!(!bystander.is_finished() && authenticator.authenticate(others.expose()).await.is_ok());
    bystander.abort();
}

#[tokio::test]
async fn a_role_counts_from_the_next_request_on() {
    let Fixture { store, authenticator, .. } = &fixture();
    let ann = store.create_user("ann", Role::Admin).await.expect("makes");
    store.create_user("root", Role::Admin).await.expect("makes");
    let (secret, _) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    assert!(authenticator.authenticate(secret.expose()).await.expect("is accepted").may(Scope::Admin));
    authenticator.set_role(ann.id, Role::User, Act::system()).await.expect("changes");
    let principal = authenticator.authenticate(secret.expose()).await.expect("is accepted");
    assert_eq!(principal.role(), Role::User);
    assert!(!principal.may(Scope::Admin) && principal.may(Scope::Write), "the token may be used for less");
}

#[tokio::test]
async fn sessions_of_a_person_are_bounded() {
    let fixture = fixture();
    let ann = fixture.store.create_user("ann", Role::User).await.expect("makes");
    let (first, _) = session(&fixture, &ann, Duration::ZERO).await;
    for _ in 0..50 {
        session(&fixture, &ann, Duration::ZERO).await;
    }
    assert_eq!(fixture.store.sessions(ann.id).await.expect("lists").len(), 50);
    assert!(fixture.authenticator.authenticate_session(first.expose()).await.is_err(), "the oldest has ended");

    // It was remembered, and a connection is open with it.
    let oldest = fixture.authenticator.session_of(&ann).await;
    let principal = fixture.authenticator.authenticate_session(oldest.expose()).await.expect("is accepted");
    let open = tokio::spawn({
        let authenticator = fixture.authenticator.clone();
        async move { authenticator.ended(&principal).await }
    });
    for _ in 0..50 {
        fixture.authenticator.session_of(&ann).await;
    }
    assert!(fixture.authenticator.authenticate_session(oldest.expose()).await.is_err(), "it counts nowhere");
    let heard = tokio::time::timeout(Duration::from_secs(1), open).await.expect("within a second");
    assert_eq!(heard.expect("no panic"), AuthError::Unknown { what: "session" });
}

/// Who may make no more invitations has made none that count: neither shut out and let in again, nor with another role.
#[tokio::test]
async fn invitations_end_with_the_administrator() {
    let Fixture { store, .. } = &fixture();
    store.create_user("root", Role::Admin).await.expect("makes");
    let invite = async |by: &User, hash: [u8; 32]| {
        let info = InvitationInfo {
            id: InvitationId::new(),
            role: Role::Admin,
            created_by: by.id,
            created_at: Time::now(),
            expires_at: None,
            uses_left: 9,
        };
        store.create_invitation(info, hash, Act::system()).await.expect("makes");
    };
    let register = async |name: &str, hash: [u8; 32]| {
        let new = NewUser { id: UserId::new(), name: name.into(), role: Role::User, password: None };
        store.register(new, Some(hash), Act::system()).await
    };
    let ann = store.create_user("ann", Role::Admin).await.expect("makes");
    invite(&ann, [1; 32]).await;
    assert_eq!(register("friend", [1; 32]).await.expect("registers").role, Role::Admin);
    store.disable_user(ann.id, Act::system()).await.expect("shuts out");
    assert!(matches!(register("foe", [1; 32]).await, Err(RegisterError::Invitation)));
    store.enable_user(ann.id, Act::system()).await.expect("lets in");
    assert!(matches!(register("foe", [1; 32]).await, Err(RegisterError::Invitation)), "it is gone for good");

    invite(&ann, [2; 32]).await;
    store.set_role(ann.id, Role::Moderator, Act::system()).await.expect("changes");
    assert!(matches!(register("foe", [2; 32]).await, Err(RegisterError::Invitation)));
    assert_eq!(store.invitations().await.expect("lists"), []);
    invite(&ann, [3; 32]).await;
    assert!(matches!(register("foe", [3; 32]).await, Err(RegisterError::Invitation)), "it was made at the same moment");
}

#[tokio::test]
async fn whoever_is_let_in_again_finds_the_rooms() {
    let Fixture { store, authenticator, .. } = &fixture();
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let room = store.create_room(NewRoom::named("general"), ann.id, &Act::system()).await.expect("makes").0.id;
    assert_eq!(store.access(&ann.actor(), room).await, Ok(Access::Moderate));
    authenticator.set_disabled(ann.id, true, Act::system()).await.expect("shuts out");
    assert_eq!(store.access(&ann.actor(), room).await, Ok(Access::None), "a request was under way");
    let mut changes = store.access_changes();
    authenticator.set_disabled(ann.id, false, Act::system()).await.expect("lets in");
    assert_eq!(changes.try_recv(), Ok(AccessChange { room: None, user: Some(ann.id) }));
    assert_eq!(store.access(&ann.actor(), room).await, Ok(Access::Moderate));
}

/// What is for administrators alone and goes on and on ends with the role.
#[tokio::test]
async fn a_lower_role_is_told_to_whoever_waits_for_it() {
    let Fixture { store, authenticator, .. } = &fixture();
    store.create_user("root", Role::Admin).await.expect("makes");
    let ann = store.create_user("ann", Role::Moderator).await.expect("makes");
    let (secret, _) = authenticator.create(&ann, request(None, None), Act::system()).await.expect("makes");
    let wait = |principal: Arc<Principal>| {
        let authenticator = authenticator.clone();
        tokio::spawn(async move { authenticator.demoted(&principal).await })
    };
    let accepted = async || authenticator.authenticate(secret.expose()).await.expect("is accepted");
    let before = wait(accepted().await);
    authenticator.set_role(ann.id, Role::Admin, Act::system()).await.expect("changes");
    let late = authenticator.authenticate(secret.expose()).await.expect("is accepted");
    let open = wait(accepted().await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!before.is_finished() && !open.is_finished(), "a higher role ends nothing");
    authenticator.set_role(ann.id, Role::User, Act::system()).await.expect("changes");
    for open in [before, open] {
        tokio::time::timeout(Duration::from_secs(5), open).await.expect("hears of it").expect("no panic");
    }
    let late = tokio::time::timeout(Duration::from_secs(5), authenticator.demoted(&late));
    late.await.expect("whoever begins to wait too late hears of it, too");
    assert!(authenticator.authenticate(secret.expose()).await.is_ok(), "the token counts on");
}

/// Who changes a password may do so because somebody has their cookie.
#[tokio::test]
async fn a_secret_that_is_given_up_counts_no_more() {
    let fixture = fixture();
    let Fixture { store, authenticator, .. } = &fixture;
    let ann = store.create_user("ann", Role::User).await.expect("makes");
    let (first, id) = session(&fixture, &ann, DAY * 2).await;
    let principal = authenticator.authenticate_session(first.expose()).await.expect("is accepted");
    let second = authenticator.rotate_in_time(&principal).await.expect("rotates").expect("another secret");
    assert!(authenticator.authenticate_session(first.expose()).await.is_ok(), "it counts for a minute");
    let keep = Some(Credential::Session(id));
    store.set_password(ann.id, "hash".into(), keep, Act::system()).await.expect("changes");
    assert!(authenticator.authenticate_session(first.expose()).await.is_err(), "not with another password");

    let principal = authenticator.authenticate_session(second.expose()).await.expect("is accepted");
    let third = authenticator.rotate(&principal).await.expect("rotates").expect("another secret");
    assert!(authenticator.authenticate_session(second.expose()).await.is_err(), "the one before counts no more");
    assert!(authenticator.authenticate_session(third.expose()).await.is_ok());
}
