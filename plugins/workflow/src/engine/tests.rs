//! The interpreter over a world of the test: what is done, in which order, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use plexichat::error::Result as PluginResult;
use plexichat::id::RunId;
use plexichat::secret::Secret;
use plexichat::workflow::RunPort;

use super::world::Act;
use super::*;
use crate::approvals::{Answer, Approval, Who};
use crate::definition::check::{self, Checks};
use crate::definition::located::Format;

/// What was done to the outside, and when this world's process dies.
#[derive(Default)]
struct Stage {
    now: Mutex<i64>,
    /// What was done, under which key.
    done: Mutex<Vec<(String, Value)>>,
    /// What each act gives: by its text, prompt, name or address.
    script: Mutex<BTreeMap<String, Vec<Result<Value, Failure>>>>,
    approvals: Mutex<BTreeMap<String, Approval>>,
    /// Under which keys a room was told of questions.
    asked: Mutex<BTreeSet<String>>,
    /// How many seconds keeping the run's state takes.
    slow: AtomicUsize,
    /// Calls of the port and of this world are counted; at this one the process dies.
    dies_at: AtomicUsize,
    calls: AtomicUsize,
}

impl Stage {
    /// Dies here: whoever calls never goes on.
    async fn step(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.dies_at.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    fn advance(&self, seconds: i64) {
        *self.now.lock().unwrap() += seconds * 1_000_000;
    }

    fn keys(&self) -> Vec<String> {
        self.done.lock().unwrap().iter().map(|(key, _)| key.clone()).collect()
    }
}

#[async_trait]
impl World for Arc<Stage> {
    fn now(&self) -> Time {
        Time::from_micros(*self.now.lock().unwrap())
    }

    async fn sleep(&self, length: Duration) {
        // Timeouts of steps never come in this world; backing off does.
        match length > SHORT {
            true => std::future::pending().await,
            false => self.advance(i64::try_from(length.as_secs()).unwrap()),
        }
    }

    async fn act(&self, _: &WorkflowRun, act: Act, key: &str, _: Duration) -> Result<Value, Failure> {
        self.step().await;
        let (name, result) = match &act {
            Act::Post { text, .. } => (text.clone(), json!({ "message_id": "m" })),
            Act::Ai { prompt, .. } => (prompt.clone(), json!({ "text": format!("answer to {prompt}") })),
            Act::Tool { name, .. } => (name.clone(), json!({ "text": "tool" })),
            Act::Http { url, .. } => (url.clone(), json!({ "status": 200 })),
        };
        let scripted =
            self.script.lock().unwrap().get_mut(&name).filter(|left| !left.is_empty()).map(|left| left.remove(0));
        let result = scripted.unwrap_or(Ok(result))?;
        let key = key.splitn(3, '/').last().unwrap().to_owned();
        {
            let mut done = self.done.lock().unwrap();
            // Whoever is asked knows keys.
            if !done.iter().any(|(known, _)| *known == key) {
                done.push((key, json!(act)));
            }
        }
        self.step().await;
        Ok(result)
    }

    async fn ask(&self, _: &WorkflowRun, approval: Approval, key: &str) -> Result<(), Failure> {
        self.step().await;
        self.asked.lock().unwrap().insert(key.to_owned());
        self.approvals.lock().unwrap().entry(approval.id.clone()).or_insert(approval);
        self.step().await;
        Ok(())
    }

    async fn answer(&self, id: &str) -> Result<Option<Answer>, Failure> {
        Ok(self.approvals.lock().unwrap().get(id).and_then(|approval| approval.answer.clone()))
    }

    async fn close(&self, id: &str) {
        self.approvals.lock().unwrap().remove(id);
    }
}

/// What the host keeps of the run.
struct Shelf {
    stage: Arc<Stage>,
    state: Mutex<Option<Value>>,
    steps: Mutex<Vec<(String, String, Value)>>,
}

#[async_trait]
impl RunPort for Shelf {
    async fn save(&self, state: Value) -> PluginResult<()> {
        self.stage.step().await;
        self.stage.advance(i64::try_from(self.stage.slow.load(Ordering::SeqCst)).unwrap());
        *self.state.lock().unwrap() = Some(state);
        self.stage.step().await;
        Ok(())
    }

    async fn record(&self, name: String, status: String, detail: Value) -> PluginResult<()> {
        self.stage.step().await;
        self.steps.lock().unwrap().push((name, status, detail));
        Ok(())
    }
}

struct Bench {
    stage: Arc<Stage>,
    shelf: Arc<Shelf>,
    definition: Definition,
    language: Language,
    scrubber: Scrubber,
    id: RunId,
    input: Value,
    dry_run: bool,
}

impl Bench {
    fn new(text: &str) -> Self {
        Self::of("test.toml", text)
    }

    fn of(path: &str, text: &str) -> Self {
        let secrets = Arc::new([("token".to_owned(), Secret::new("s3cr3t-4711"))].into());
        let language = Language::new(&secrets);
        let names = ["token".to_owned()];
        let checks = Checks { language: &language, secrets: &names, tools: None, trigger: &|spec| spec.check() };
        let definition = check::parse_text(path, text, Format::of_path(path).unwrap(), &checks)
            .unwrap_or_else(|problems| panic!("{}", check::told(&problems)));
        let stage = Arc::<Stage>::default();
        let shelf = Arc::new(Shelf { stage: stage.clone(), state: Mutex::default(), steps: Mutex::default() });
        let (id, input) = (RunId::new(), json!({ "event": { "data": { "text": "hi" } } }));
        Self { stage, shelf, definition, language, scrubber: Scrubber::new(secrets), id, input, dry_run: false }
    }

    /// One attempt; nothing where the process died in it.
    async fn attempt(&self) -> Option<Result<Outcome, WorkflowError>> {
        let mut run = WorkflowRun::new(self.id, "test", "wf.test.0", self.input.clone(), self.shelf.clone());
        run.state = self.shelf.state.lock().unwrap().clone();
        run.dry_run = self.dry_run;
        run.deadline = later(World::now(&self.stage), Duration::from_secs(120));
        let engine = Engine {
            definition: &self.definition,
            version: "v1",
            world: &self.stage,
            language: &self.language,
            scrubber: &self.scrubber,
        };
        let result = tokio::time::timeout(Duration::from_millis(30), execute(engine, &run)).await.ok();
        if let Some(Ok(Outcome::Wait { state, .. })) = &result {
            *self.shelf.state.lock().unwrap() = Some(state.clone());
        }
        result
    }

    /// Attempts until it ends; time passes while it waits, and questions are answered with yes.
    async fn to_the_end(&self) -> Result<Outcome, WorkflowError> {
        for _ in 0..200 {
            match self.attempt().await {
                None => self.stage.dies_at.store(0, Ordering::SeqCst),
                Some(Ok(Outcome::Wait { until, .. })) => {
                    self.answer(true);
                    let until = until.expect("every wait has its time");
                    let now = World::now(&self.stage);
                    *self.stage.now.lock().unwrap() = until.as_micros().min(now.as_micros() + 3600 * 1_000_000);
                }
                Some(result) => return result,
            }
        }
        panic!("it does not end: {:?}", self.timeline());
    }

    fn answer(&self, approved: bool) {
        for approval in self.stage.approvals.lock().unwrap().values_mut() {
            let by = Some(Who { id: "u".into(), name: "ann".into() });
            approval.answer = Some(Answer { approved, by, note: "so".into(), at: Time::from_micros(0) });
        }
    }

    fn timeline(&self) -> Vec<String> {
        let steps = self.shelf.steps.lock().unwrap();
        steps.iter().map(|(name, status, _)| format!("{name} {status}")).collect()
    }
}

/// Runs it to its end: what was done under which keys, and what came of it.
async fn check(text: &str, keys: &[&str], expected: Result<Value, &str>) -> Bench {
    let bench = Bench::new(text);
    check_on(&bench, keys, expected).await;
    bench
}

async fn check_on(bench: &Bench, keys: &[&str], expected: Result<Value, &str>) {
    let outcome = match bench.to_the_end().await {
        Ok(Outcome::Done(output)) => Ok(output),
        Ok(Outcome::Skip(why)) => Err(why),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(outcome, expected.map_err(str::to_owned), "{:?}", bench.timeline());
    let mut done = bench.stage.keys();
    done.sort();
    assert_eq!(done, keys);
}

#[tokio::test]
async fn steps_follow_each_other() {
    let bench = check(
        r#"
name = "test"
output = { said = "{{ steps.ask.result.text }}", count = "{{ vars.count }}" }
[[steps]]
id = "ask"
ai = { model = "a/b", prompt = "{{ event.data.text }}?" }
[[steps]]
set = { count = "{{ 2 + 1 }}" }
[[steps]]
when = "vars.count > 5"
post = { text = "never" }
[[steps]]
post = { text = "{{ steps.ask.result.text }}" }
"#,
        &["3", "ask"],
        Ok(json!({ "said": "answer to hi?", "count": 3 })),
    )
    .await;
    assert_eq!(bench.timeline(), ["ask started", "ask done", "1 done", "2 skipped", "3 started", "3 done"]);
}

#[tokio::test]
async fn conditions_loops_and_branches() {
    check(
        r#"
name = "test"
vars = { names = ["a", "b"] }
[[steps]]
if = "vars.names | length == 2"
then = [{ post.text = "two" }]
else = [{ post.text = "other" }]
[[steps]]
id = "all"
for_each = { in = "vars.names", as = "name", steps = [{ id = "each", post.text = "{{ name }}{{ loop_index }}" }] }
[[steps]]
parallel = { left = [{ post.text = "l" }, { wait.for = "1h" }, { post.text = "l2" }], right = [{ post.text = "r" }] }
[[steps]]
stop = "{{ steps.all.result.count }} parts"
[[steps]]
post.text = "never"
"#,
        &["0/then/0", "2/left/0", "2/left/2", "2/right/0", "all/0/each", "all/1/each"],
        Ok(json!({ "stopped": "2 parts" })),
    )
    .await;
}

#[tokio::test]
async fn a_list_that_is_too_long_is_an_error() {
    let text = r#"
name = "test"
[[steps]]
for_each = { in = "range(5)", max = 4, steps = [{ post.text = "x" }] }
"#;
    check(text, &[], Err("step `0`: the list has 5 parts, `max` is 4")).await;
    let text = text.replace("range(5)", "'text'");
    check(&text, &[], Err("step `0`: `'text'` is no list, it is a text")).await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let bench = Bench::new(
        r#"
name = "test"
[[steps]]
id = "get"
http = { url = "https://x", headers = { authorization = "{{ secret('token') }}" } }
retry = { attempts = 4, backoff = "1m" }
[[steps]]
id = "often"
http = { url = "https://y" }
on_error = "continue"
[[steps]]
post.text = "{{ steps.often.error }}"
[[steps]]
http = { url = "https://z" }
"#,
    );
    let failing = |message: &str| Err(Failure::passing(message));
    {
        let mut script = bench.stage.script.lock().unwrap();
        script.insert("https://x".into(), vec![failing("down"), failing("it repeats s3cr3t-4711")]);
        script.insert("https://y".into(), (0..3).map(|_| failing("busy")).collect());
        script.insert("https://z".into(), vec![Err(Failure::for_good("no leave"))]);
    }
    check_on(&bench, &["2", "get"], Err("step `3`: no leave")).await;
    assert_eq!(
        bench.timeline(),
        [
            "get started",
            "get retrying",
            "get started",
            "get retrying",
            "get started",
            "get done",
            "often started",
            "often retrying",
            "often started",
            "often retrying",
            "often started",
            "often failed",
            "2 started",
            "2 done",
            "3 started",
            "3 failed"
        ]
    );
    let told = format!("{:?}{:?}", bench.shelf.steps.lock().unwrap(), bench.shelf.state.lock().unwrap());
    assert!(!told.contains("s3cr3t"), "{told}");
    let sent = bench.stage.done.lock().unwrap().iter().map(|(_, act)| act.to_string()).collect::<String>();
    assert!(sent.contains("s3cr3t-4711"), "the service itself is told: {sent}");
}

#[tokio::test]
async fn a_replayed_run_begins_with_the_step_that_failed() {
    let bench = Bench::new(
        "name = 'test'\n[[steps]]\npost.text = 'one'\n[[steps]]\nhttp.url = 'https://x'\n[[steps]]\npost.text = 'two'\n",
    );
    bench.stage.script.lock().unwrap().insert("https://x".into(), vec![Err(Failure::for_good("no"))]);
    check_on(&bench, &["0"], Err("step `1`: no")).await;
    check_on(&bench, &["0", "1", "2"], Ok(json!({ "vars": {} }))).await;
}

const APPROVAL: &str = r#"
name = "test"
[[steps]]
post.text = "before"
[[steps]]
id = "ask"
approve = { text = "Go on with {{ event.data.text }}?", users = ["ann"], timeout = "1d" }
[[steps]]
post.text = "{{ steps.ask.result.by.name }} said {{ steps.ask.result.note }}"
"#;

#[tokio::test]
async fn people_are_asked() {
    check(APPROVAL, &["0", "2"], Ok(json!({ "vars": {} }))).await;

    let refused = Bench::new(APPROVAL);
    assert!(matches!(refused.attempt().await, Some(Ok(Outcome::Wait { .. }))));
    refused.answer(false);
    check_on(&refused, &["0"], Ok(json!({ "stopped": "refused: by ann" }))).await;
    assert!(refused.stage.approvals.lock().unwrap().is_empty(), "what is settled is not kept");

    let ignored = Bench::new(APPROVAL);
    assert!(matches!(ignored.attempt().await, Some(Ok(Outcome::Wait { .. }))));
    // Somebody wakes it for nothing: it waits on.
    assert!(matches!(ignored.attempt().await, Some(Ok(Outcome::Wait { .. }))));
    ignored.stage.advance(86_401);
    check_on(&ignored, &["0"], Ok(json!({ "stopped": "refused: nobody answered within 1d" }))).await;
}

#[tokio::test]
async fn a_replay_asks_the_room_again() {
    let text = APPROVAL.replace("timeout = \"1d\"", "timeout = \"1d\", default = \"fail\"");
    let bench = Bench::new(&text);
    for times in 1..=3 {
        assert!(matches!(bench.attempt().await, Some(Ok(Outcome::Wait { .. }))));
        // Another look asks nobody again.
        assert!(matches!(bench.attempt().await, Some(Ok(Outcome::Wait { .. }))));
        assert_eq!(bench.stage.asked.lock().unwrap().len(), times);
        bench.stage.advance(86_401);
        let failed = bench.attempt().await.unwrap().unwrap_err().to_string();
        assert_eq!(failed, "step `ask`: nobody answered within 1d");
    }
}

/// A loop that reaches nothing outside takes longer than an attempt may: it goes on in another one, and every part is done once.
#[tokio::test]
async fn a_long_loop_goes_on_in_another_attempt() {
    let bench = Bench::new(
        r#"
name = "test"
vars = { seen = [] }
[[steps]]
for_each = { in = "range(40)", steps = [{ set.seen = "{{ vars.seen + [item] }}" }] }
"#,
    );
    bench.stage.slow.store(10, Ordering::SeqCst);
    let mut attempts = 0;
    let output = loop {
        attempts += 1;
        let deadline = later(World::now(&bench.stage), Duration::from_secs(120));
        let outcome = bench.attempt().await.expect("it does not hang").expect("it does not fail");
        assert!(World::now(&bench.stage) <= deadline, "attempt {attempts} took too long");
        match outcome {
            Outcome::Wait { .. } => assert!(attempts < 100, "it does not end"),
            Outcome::Done(output) => break output,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(output["vars"]["seen"], json!((0..40).collect::<Vec<_>>()));
    assert!(attempts > 5, "{attempts} attempts");
}

#[tokio::test]
async fn a_dry_run_does_nothing() {
    let mut bench = Bench::new(
        r#"
name = "test"
[[steps]]
id = "get"
http = { url = "https://x", headers = { authorization = "{{ secret('token') }}" } }
sample = { status = 200, json = { open = true } }
[[steps]]
if = "steps.get.result.json.open"
then = [{ wait.for = "1d" }, { approve = { text = "ok?" } }, { post.text = "{{ steps.get.result.json.missing.deep }}done" }]
[[steps]]
for_each = { in = "steps.get.result.json.list", steps = [{ post.text = "x" }] }
"#,
    );
    bench.dry_run = true;
    check_on(&bench, &[], Ok(json!({ "vars": {} }))).await;
    assert!(bench.stage.approvals.lock().unwrap().is_empty());
    let steps = bench.shelf.steps.lock().unwrap();
    let would: Vec<&Value> =
        steps.iter().filter(|(_, status, _)| status == "would").map(|(_, _, detail)| detail).collect();
    let does: Vec<&str> = would.iter().filter_map(|detail| detail["does"].as_str()).collect();
    assert_eq!(does, ["http", "wait", "ask", "post"]);
    assert_eq!((&would[0]["headers"][0][1], &would[3]["text"]), (&json!("***"), &json!("done")));
}

#[tokio::test]
async fn a_trigger_may_have_a_condition() {
    let text = "name = 'test'\nsteps = [{ post.text = 'x' }]\n[[triggers]]\ncommand.name = 'go'\nwhen = \"event.data.text == 'bye'\"\n";
    check(text, &[], Err("`event.data.text == 'bye'` is false")).await;
}

#[tokio::test]
async fn a_run_that_keeps_too_much_fails() {
    let text = r#"
name = "test"
vars = { text = "" }
[[steps]]
for_each = { in = "range(9)", steps = [{ set.text = "{{ vars.text }}{% for i in range(1500) %}0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789{% endfor %}" }] }
"#;
    let bench = Bench::new(text);
    let error = bench.to_the_end().await.unwrap_err().to_string();
    assert!(error.contains("longer than") || error.contains("at most"), "{error}");
}

const LONG: &str = r#"
name = "test"
vars = { names = ["a", "b", "c"] }
[[steps]]
id = "ask"
ai = { model = "a/b", prompt = "x" }
[[steps]]
parallel.one = [{ wait.for = "1m" }, { post.text = "one" }]
parallel.two = [{ approve = { text = "ok?", users = ["ann"] } }, { post.text = "two" }]
[[steps]]
for_each = { in = "vars.names", steps = [{ post.text = "{{ item }}" }, { wait.for = "1s" }] }
[[steps]]
http.url = "https://x"
retry = { attempts = 3, backoff = "1m" }
"#;

/// The process dies at every single call to the host and to the outside, and every run still does everything once.
#[tokio::test]
async fn whoever_dies_goes_on_where_it_was() {
    let keys = ["1/one/1", "1/two/1", "2/0/0", "2/1/0", "2/2/0", "3", "ask"];
    let mut died = 0;
    for dies_at in 1.. {
        let bench = Bench::new(LONG);
        bench.stage.script.lock().unwrap().insert("https://x".into(), vec![Err(Failure::passing("down"))]);
        bench.stage.dies_at.store(dies_at, Ordering::SeqCst);
        check_on(&bench, &keys, Ok(json!({ "vars": { "names": ["a", "b", "c"] } }))).await;
        if bench.stage.calls.load(Ordering::SeqCst) < dies_at {
            break;
        }
        died += 1;
    }
    assert!(died > 60, "only {died} places to die in");
}

/// Everything in `gallery/` is taken, and its dry run goes to the end.
#[tokio::test]
async fn the_gallery_runs_dry() {
    let inputs = json!({
        "morning-report": {},
        "release": { "command": "release", "arguments": "1.4.0" },
        "welcome": { "event": { "data": { "name": "ann" } } },
        "alerts": { "body": { "alerts": [{ "severity": "critical", "title": "Disk full" }, { "severity": "info", "title": "Up" }] } },
        "weekly-review": {},
    });
    let expected = json!({
        "morning-report": ["http", "ai", "post"],
        "release": ["ask", "http", "wait", "http", "post"],
        "welcome": ["post", "wait", "post"],
        "alerts": ["post", "tool", "post", "post"],
        "weekly-review": ["http", "http", "post"],
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/gallery");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap().replace("ci_token", "token");
        let mut bench = Bench::of(&path, &text);
        bench.dry_run = true;
        let name = bench.definition.name.clone();
        bench.input = inputs[&name].clone();
        let outcome = bench.to_the_end().await;
        assert!(matches!(outcome, Ok(Outcome::Done(_))), "{path}: {outcome:?} {:?}", bench.timeline());
        let steps = bench.shelf.steps.lock().unwrap();
        let would = steps.iter().filter(|(_, status, _)| status == "would");
        let does: Vec<&Value> = would.map(|(_, _, detail)| &detail["does"]).collect();
        assert_eq!(json!(does), expected[&name], "{path}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}
