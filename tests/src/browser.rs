//! Chromium, used as a person uses it: by pointer, keys and fingers, and read as a screen reader reads it.
//!
//! The widget's shadow roots are closed, so nothing here looks into them: what they show is taken from the accessibility tree,
//! what is pressed in them is pressed at its place on the screen.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction};
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use lambda_http::http::Method;
use leadlight_dev::progress::Progress;
use leadlight_dev::{tools, workspace};
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take to show on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a page is looked at while something is waited for.
const GLANCE: Duration = Duration::from_millis(40);
/// The size of the window, in CSS pixels.
const WINDOW: (u32, u32) = (1280, 800);
/// Counts what the page itself did not catch, and what its policy forbade.
const WITNESS: &str = "window.witnessed = [];
    addEventListener('error', ({ message }) => witnessed.push(message));
    addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
        witnessed.push(`policy: ${effectiveDirective} ${blockedURI}`);
    });
    addEventListener('unhandledrejection', ({ reason }) => witnessed.push(String(reason)));";

/// One window. Everything behind it ends when this is dropped, also by a panic.
pub(crate) struct Browser {
    page: Client,
    origin: String,
    _driver: Driver,
    _profile: TempDir,
}

/// chromedriver and the Chromium that it starts, a process group of their own.
struct Driver {
    process: Child,
    endpoint: String,
}

/// A command of the `DevTools` protocol.
#[derive(Debug)]
struct DevTools {
    body: Value,
}

/// What a screen reader finds in the page.
#[derive(Clone)]
pub(crate) struct Tree(Vec<Node>);

/// One thing in it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    id: String,
    children: Vec<String>,
    place: i64,
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) focused: bool,
    pub(crate) expanded: Option<bool>,
    has_popup: String,
}

impl Browser {
    /// Opens a window whose paths are below `origin`.
    pub(crate) async fn open(origin: String) -> Self {
        let found = tokio::task::spawn_blocking(|| tools::browser(&Progress::silent()));
        let found = found.await.unwrap().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let driver = Driver::start(&found.chromedriver);
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            // Letters are drawn alike on all machines.
            "--disable-lcd-text",
            "--font-render-hinting=none",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({ "binary": found.chromium, "args": arguments });
        let capabilities = json!({ "goog:chromeOptions": options });
        let mut connector = ClientBuilder::new(HttpConnector::new());
        connector.capabilities(capabilities.as_object().unwrap().clone());
        let page = connector.connect(&driver.endpoint).await.unwrap();
        let browser = Self {
            page,
            origin,
            _driver: driver,
            _profile: profile,
        };
        let (width, height) = WINDOW;
        let window =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser
            .tell("Emulation.setDeviceMetricsOverride", window)
            .await;
        browser.before_each_page(WITNESS).await;
        browser.tell("Network.enable", json!({})).await;
        // Nothing is half faded in when a picture is taken.
        let still =
            json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        browser.tell("Emulation.setEmulatedMedia", still).await;
        browser
    }

    /// Opens a page.
    pub(crate) async fn go(&self, path: &str) {
        self.page
            .goto(&format!("{}{path}", self.origin))
            .await
            .unwrap();
    }

    /// Reloads the page.
    pub(crate) async fn reload(&self) {
        self.page.refresh().await.unwrap();
    }

    /// Tells the browser itself something.
    pub(crate) async fn tell(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.page.issue_cmd(DevTools { body }).await.unwrap()
    }

    /// Rests the pointer on an element.
    pub(crate) async fn point_at(&self, css: &str) {
        let element = self.page.find(Locator::Css(css)).await.unwrap();
        let _ = self
            .page
            .execute(
                "arguments[0].scrollIntoView({ block: 'center' })",
                vec![json!(element)],
            )
            .await;
        let over = PointerAction::MoveToElement {
            element,
            duration: None,
            x: 0.0,
            y: 0.0,
        };
        self.move_pointer(vec![over]).await;
    }

    /// Takes the pointer to where nothing is.
    pub(crate) async fn point_at_nothing(&self) {
        let away = PointerAction::MoveTo {
            duration: None,
            x: 640.0,
            y: 3.0,
        };
        self.move_pointer(vec![away]).await;
    }

    async fn move_pointer(&self, actions: Vec<PointerAction>) {
        let mouse = MouseActions::new("mouse".to_owned());
        let mouse = actions.into_iter().fold(mouse, MouseActions::then);
        self.page.perform_actions(mouse).await.unwrap();
    }

    /// Presses the left button on what the tree shows.
    pub(crate) async fn press(&self, node: &Node) {
        let (x, y) = self.middle(node).await;
        let button = fantoccini::actions::MOUSE_BUTTON_LEFT;
        let actions = vec![
            PointerAction::MoveTo {
                duration: None,
                x,
                y,
            },
            PointerAction::Down { button },
            PointerAction::Up { button },
        ];
        self.move_pointer(actions).await;
    }

    /// Presses the left button on what the tree shows, and does not let it go.
    pub(crate) async fn hold(&self, node: &Node) {
        let (x, y) = self.middle(node).await;
        let button = fantoccini::actions::MOUSE_BUTTON_LEFT;
        let over = PointerAction::MoveTo {
            duration: None,
            x,
            y,
        };
        self.move_pointer(vec![over, PointerAction::Down { button }])
            .await;
    }

    /// Lets the left button go.
    pub(crate) async fn let_go(&self) {
        let button = fantoccini::actions::MOUSE_BUTTON_LEFT;
        self.move_pointer(vec![PointerAction::Up { button }]).await;
    }

    /// Taps with a finger.
    pub(crate) async fn tap(&self, (x, y): (f64, f64)) {
        let touch = json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] });
        self.tell("Input.dispatchTouchEvent", touch).await;
        self.tell(
            "Input.dispatchTouchEvent",
            json!({ "type": "touchEnd", "touchPoints": [] }),
        )
        .await;
    }

    /// Where something is in the window.
    pub(crate) async fn middle(&self, node: &Node) -> (f64, f64) {
        let node = json!({ "backendNodeId": node.place });
        self.tell("DOM.scrollIntoViewIfNeeded", node.clone()).await;
        let shape = self.tell("DOM.getBoxModel", node).await;
        let corners = shape["model"]["border"].as_array().unwrap();
        let at = |corner: usize| corners[corner].as_f64().unwrap();
        (f64::midpoint(at(0), at(4)), f64::midpoint(at(1), at(5)))
    }

    /// Clicks an element of the page.
    pub(crate) async fn click(&self, css: &str) {
        self.page
            .find(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Types over what is in a field of the page.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        self.click(css).await;
        self.chord(Key::Control, 'a').await;
        self.type_text(text).await;
    }

    /// Chooses an option of a list in the page.
    pub(crate) async fn choose(&self, css: &str, value: &str) {
        let list = self.page.find(Locator::Css(css)).await.unwrap();
        list.select_by_value(value).await.unwrap();
    }

    /// What an element of the page says.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.page
            .find(Locator::Css(css))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Types into whatever has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.strike(character).await;
        }
    }

    /// Presses a key.
    pub(crate) async fn key(&self, key: Key) {
        self.strike(key.into()).await;
    }

    async fn strike(&self, value: char) {
        let keyboard = KeyActions::new("keyboard".to_owned());
        let struck = keyboard
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.page.perform_actions(struck).await.unwrap();
    }

    /// Presses a key while another is held.
    pub(crate) async fn chord(&self, held: Key, key: impl Into<char>) {
        let (held, value) = (char::from(held), key.into());
        let keyboard = KeyActions::new("keyboard".to_owned());
        let struck = keyboard
            .then(KeyAction::Down { value: held })
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value })
            .then(KeyAction::Up { value: held });
        self.page.perform_actions(struck).await.unwrap();
    }

    /// What a screen reader finds now.
    pub(crate) async fn tree(&self) -> Tree {
        Tree::read(&self.tell("Accessibility.getFullAXTree", json!({})).await)
    }

    /// Waits until `find` finds something in the page.
    pub(crate) async fn see<T>(&self, what: &str, find: impl Fn(&Tree) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let tree = self.tree().await;
            if let Some(found) = find(&tree) {
                return found;
            }
            if started.elapsed() > PATIENCE {
                self.shoot(&format!(
                    "missed-{}",
                    what.replace(|c: char| !c.is_alphanumeric(), "-")
                ))
                .await;
                panic!("never seen: {what}\n{tree:?}");
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until an element of the page says something that `is` so, and answers what.
    pub(crate) async fn read(&self, css: &str, what: &str, is: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let said = self.text(css).await;
            if is(&said) {
                return said;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "never read in {css}: {what}, but {said:?}"
            );
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn ask(&self, expression: &str) -> Value {
        self.page
            .execute(&format!("return {expression}"), Vec::new())
            .await
            .unwrap()
    }

    /// Evaluates an expression that gives a promise, and waits for what that promises.
    pub(crate) async fn wait_for(&self, promise: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
            ({promise}).then(done, (error) => done(`rejected: ${{error?.stack ?? error}}`))"
        );
        self.page.execute_async(&script, Vec::new()).await.unwrap()
    }

    /// Runs a script in every page before its own scripts.
    pub(crate) async fn before_each_page(&self, source: &str) {
        let script = json!({ "source": source });
        self.tell("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
    }

    /// How often the page has asked for a path so far.
    pub(crate) async fn requests_for(&self, path: &str) -> u64 {
        let asked = format!(
            "performance.getEntriesByType('resource').filter(({{ name }}) => new URL(name).pathname === '{path}').length"
        );
        self.ask(&asked).await.as_u64().unwrap()
    }

    /// What the page threw and nobody caught.
    pub(crate) async fn uncaught(&self) -> Value {
        self.ask("window.witnessed").await
    }

    /// A picture of a part of the window that begins at its corner, as PNG.
    pub(crate) async fn corner(&self, width: u32, height: u32) -> Vec<u8> {
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let taken = json!({ "format": "png", "clip": clip });
        let picture = self.tell("Page.captureScreenshot", taken).await;
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Keeps a picture of the window below `target/screenshots/`.
    pub(crate) async fn shoot(&self, name: &str) {
        let folder = workspace::target().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.page.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Driver {
    /// Starts chromedriver on a free port. It takes one that is free for IPv6, wants the same for IPv4, and gives up where a
    /// neighbour has that ("port not available"): then another is tried.
    fn start(chromedriver: &Path) -> Self {
        (0..10)
            .find_map(|_| Self::try_start(chromedriver))
            .expect("chromedriver finds a port")
    }

    fn try_start(chromedriver: &Path) -> Option<Self> {
        let mut process = Command::new(chromedriver)
            .arg("--port=0")
            .env("TZ", "UTC")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut driver = Self {
            process,
            endpoint: String::new(),
        };
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        })?;
        driver.endpoint = format!("http://127.0.0.1:{port}");
        Some(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The group is named by the id of its first process, which is not waited for yet and so cannot be anybody else's.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Tree {
    fn read(answer: &Value) -> Self {
        let nodes = answer["nodes"].as_array().unwrap();
        Self(
            nodes
                .iter()
                .filter(|node| node["ignored"] != true || node["childIds"].is_array())
                .map(Node::read)
                .collect(),
        )
    }

    /// Everything of a role.
    pub(crate) fn all<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Node> {
        self.0.iter().filter(move |node| node.role == role)
    }

    /// The thing of that role and name.
    pub(crate) fn find(&self, role: &str, name: &str) -> Option<Node> {
        self.all(role).find(|node| node.name == name).cloned()
    }

    /// The bubbles, in the order of the page.
    pub(crate) fn bubbles(&self) -> impl Iterator<Item = &Node> {
        self.all("button")
            .filter(|button| button.has_popup == "dialog")
    }

    /// The bubble of the lead with this name.
    pub(crate) fn bubble(&self, lead: &str) -> Option<Node> {
        let is_of = |bubble: &&Node| {
            bubble
                .name
                .strip_prefix(lead)
                .is_some_and(|rest| rest.starts_with(':'))
        };
        self.bubbles().find(is_of).cloned()
    }

    /// The popover, if it is open.
    pub(crate) fn popover(&self) -> Option<Self> {
        self.all("dialog")
            .next()
            .map(|popover| self.within(popover))
    }

    /// What has the focus.
    pub(crate) fn focused(&self) -> Option<&Node> {
        // The document has it as well.
        self.0.iter().rfind(|node| node.focused)
    }

    /// A thing and everything in it.
    pub(crate) fn within(&self, node: &Node) -> Self {
        let children = node
            .children
            .iter()
            .filter_map(|id| self.0.iter().find(|node| node.id == *id));
        let below = children.flat_map(|child| self.within(child).0);
        Self([node.clone()].into_iter().chain(below).collect())
    }

    /// Everything that is said in it.
    pub(crate) fn words(&self) -> String {
        let said: Vec<&str> = self
            .all("StaticText")
            .flat_map(|text| text.name.split_whitespace())
            .collect();
        said.join(" ")
    }

    /// The names of the buttons in it that do something: not of those that only show more.
    pub(crate) fn buttons(&self) -> Vec<&str> {
        self.all("button")
            .filter(|button| button.expanded.is_none())
            .map(|button| button.name.as_str())
            .collect()
    }

    /// What its live region says.
    pub(crate) fn announcement(&self) -> String {
        self.all("status")
            .map(|region| self.within(region).words())
            .collect()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_told =
            |node: &&Node| node.focused || !node.name.is_empty() && node.role != "InlineTextBox";
        for node in self.0.iter().filter(is_told) {
            let Node {
                role,
                name,
                focused,
                expanded,
                ..
            } = node;
            writeln!(f, "{role} {name:?} focused {focused} expanded {expanded:?}")?;
        }
        Ok(())
    }
}

impl Node {
    fn read(node: &Value) -> Self {
        let text = |field: &str| node[field]["value"].as_str().unwrap_or_default().to_owned();
        let property = |name: &str| {
            let properties = node["properties"].as_array()?;
            let found = properties
                .iter()
                .find(|property| property["name"] == name)?;
            Some(found["value"]["value"].clone())
        };
        let children = node["childIds"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Self {
            id: node["nodeId"].as_str().unwrap().to_owned(),
            children: children
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            place: node["backendDOMNodeId"].as_i64().unwrap_or_default(),
            role: text("role"),
            name: text("name"),
            focused: property("focused").is_some_and(|focused| focused == true),
            expanded: property("expanded").and_then(|expanded| expanded.as_bool()),
            has_popup: property("hasPopup")
                .and_then(|kind| kind.as_str().map(str::to_owned))
                .unwrap_or_default(),
        }
    }
}
