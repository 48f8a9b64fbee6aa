//! The widget in the pages of others: strict policies, several origins, shadow roots, dialogs, frames, narrow windows, and rows
//! that come and go.

use fantoccini::key::Key;
use leadlight_dev::progress::Progress;
use leadlight_dev::widget;
use serde_json::{Value, json};

use crate::browser::{Browser, Tree};
use crate::host::{Host, POLICY};
use crate::story::{announced, bubble, closed, demo, offered};

/// Connects a page to the API.
const CONNECT: &str = "configure({ endpoint: '{api}', token: '{token}' });";
/// Lets the page itself look into the widget, to measure what no accessibility tree tells.
const INSPECTED: &str = "Element.prototype.attachShadow = ((attach) => function (init) {
        return attach.call(this, { ...init, mode: 'open' });
    })(Element.prototype.attachShadow);
    window.inside = (light) => light.shadowRoot.querySelector('#popover');
    window.bubbleOf = (light) => light.shadowRoot.querySelector('button');
    window.opened = async (light) => {
        await customElements.whenDefined('lead-light');
        light.hide();
        const open = new Promise((resolve) => light.addEventListener('lead-light-open', resolve, { once: true }));
        light.show();
        await open;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        return inside(light);
    };
    window.box = (element) => {
        const { left, top, right, bottom, width, height } = element.getBoundingClientRect();
        return { left, top, right, bottom, width, height };
    };";
/// A lead that can be checked again, without a server.
const PRESET: &str = "setStatuses([
        { lead: 'a', status: 'blocklisted', standing: 'active', reason: 'undeliverable', cause: 'no_mail_server',
          resolution: 'check_again', may_check_again: true, since: '2026-03-02T09:30:00Z', diagnostic: 'what the provider said' },
        { lead: 'b', status: 'active', standing: 'active' },
        { lead: 'c', status: 'unsubscribed', standing: 'unsubscribed' },
    ]);";
const GEORGE: &str = "George Pratt: Blocklisted, hard bounce";
const A: &str = "Ada: Blocklisted, undeliverable";
/// What the button is called that shows the provider's own text.
const SAID: &str = "The provider’s own words";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_policy_is_enough_and_without_wasm_it_says_so() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let george = "<lead-light lead=george-pratt label='George Pratt'></lead-light>";
    host.page("/strict", POLICY, george, CONNECT);
    person.go("/strict").await;
    person.see("the bubble", bubble(GEORGE)).await;
    person.point_at("lead-light").await;
    let popover = person.see("Check again", offered).await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person
        .see("the new status", bubble("George Pratt: Active"))
        .await;
    assert_eq!(person.uncaught().await, json!([]));

    // The widget's files may carry the hashes that integrity.json gives.
    assert_eq!(
        person
            .ask("document.querySelector('lead-light').shadowRoot")
            .await,
        json!(null),
        "the shadow root is closed"
    );

    let no_wasm = POLICY.replace(" 'wasm-unsafe-eval'", "");
    host.page("/no-wasm", &no_wasm, george, CONNECT);
    person.go("/no-wasm").await;
    let unsupported = "George Pratt: Email status is not available in this page.";
    person.see("that there is none", bubble(unsupported)).await;
    let seen = person.ask("seen").await;
    assert_eq!(seen[0]["type"], "error", "{seen}");
    assert_eq!(seen[0]["detail"]["code"], "unsupported", "{seen}");
    assert_eq!(seen[0]["detail"]["lead"], "george-pratt", "{seen}");
    let uncaught = person.uncaught().await;
    for told in uncaught.as_array().unwrap() {
        let told = told.as_str().unwrap();
        assert!(told.starts_with("policy: script-src"), "{uncaught}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_stay_words() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let evil = "<img src=x onerror='window.pwned = 1'><script>window.pwned = 1</script>";
    let body = "<lead-light lead=a></lead-light><lead-light lead='\"><img src=x>'></lead-light>";
    // Without any policy, so that nothing but the widget stands in the way.
    let script = format!(
        "{CONNECT}
        const evil = {};
        document.querySelector('lead-light').label = evil;
        configure({{ strings: {{ 'check.again': evil }} }});
        setStatuses([{{ lead: 'a', status: 'blocklisted', standing: 'active', reason: 'undeliverable', cause: 'no_such_domain',
            resolution: 'check_again', may_check_again: true, diagnostic: evil, suggestion: `${{evil}}@gmail.example` }}]);",
        json!(evil)
    );
    host.page("/hostile", "", body, &script);
    person.go("/hostile").await;
    let named = format!("{evil}: Blocklisted, undeliverable");
    let node = person.see("the bubble", bubble(&named)).await;
    person.press(&node).await;
    let popover = person.see("the popover", Tree::popover).await;
    assert!(popover.find("button", evil).is_some(), "{popover:?}");
    let summary = person
        .see("the provider's words", |tree| {
            tree.popover()?.find("button", SAID)
        })
        .await;
    person.press(&summary).await;
    person
        .see("the provider's text as it is", |tree| {
            tree.popover()?
                .words()
                .contains("<script>window.pwned")
                .then_some(())
        })
        .await;
    assert_eq!(person.ask("window.pwned ?? null").await, json!(null));
    assert_eq!(person.ask("document.images.length").await, json!(0));
    assert_eq!(person.requests_for("/x").await, 0);
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_cross_shadow_roots_and_a_check_can_be_cancelled() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let script = format!(
        "{CONNECT}
        const card = document.querySelector('#card').attachShadow({{ mode: 'open' }});
        const light = document.createElement('lead-light');
        Object.assign(light, {{ lead: 'george-pratt', label: 'George Pratt' }});
        card.append(light);
        window.cancel = true;
        addEventListener('lead-light-check', (event) => {{ if (cancel) event.preventDefault(); }});"
    );
    host.page("/events", POLICY, "<div id=card></div>", &script);
    person.go("/events").await;
    let node = person.see("the bubble", bubble(GEORGE)).await;
    person.press(&node).await;
    let popover = person.see("Check again", offered).await;
    let button = popover.find("button", "Check again").unwrap();
    person.press(&button).await;
    let types = async || person.ask("seen.map(({ type }) => type)").await;
    assert_eq!(types().await, json!(["open", "check"]));
    let asked = "/v1/leads/george-pratt/rechecks";
    assert_eq!(person.requests_for(asked).await, 0, "the page cancelled it");
    let seen = person.ask("seen").await;
    for event in seen.as_array().unwrap() {
        assert_eq!(
            (&event["composed"], &event["bubbles"], &event["target"]),
            (&json!(true), &json!(true), &json!("div")),
            "{event}"
        );
        assert_eq!(event["detail"]["lead"], "george-pratt", "{event}");
        assert_eq!(
            event["cancelable"],
            json!(event["type"] == "check"),
            "{event}"
        );
    }
    person.ask("void (cancel = false)").await;
    person.press(&button).await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person.key(Key::Escape).await;
    person.see("it closed", closed).await;
    assert_eq!(
        types().await,
        json!(["open", "check", "check", "change", "close"])
    );
    let change = person
        .ask("seen.find(({ type }) => type === 'change').detail")
        .await;
    let expected = json!({ "lead": "george-pratt", "status": "active", "reason": null, "cause": null, "previous": "blocklisted", "outcome": "sent" });
    assert_eq!(change, expected);

    // Loaded twice, as two parts of a page may, it is defined once and works on.
    let twice = person
        .wait_for(&format!(
            "import('{}/auto.js?again').then(({{ LeadLight }}) => LeadLight.define())",
            host.cdn
        ))
        .await;
    assert_eq!(twice, json!(null));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_may_come_go_and_change_hands_at_any_moment() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let body = "<div id=here><lead-light lead=a label=Ada></lead-light></div><div id=there></div>";
    let script = format!(
        "{PRESET}
        window.light = document.querySelector('lead-light');
        // The recheck is answered when the test says so.
        window.fetch = ((fetch) => (resource, init) => !String(resource).includes('/rechecks') ? fetch(resource, init) : new Promise((resolve) => {{
            window.finish = () => resolve(Response.json({{ outcome: 'sent', status: {{ lead: 'a', status: 'active', standing: 'active' }} }}));
        }}))(window.fetch);
        configure({{ endpoint: '{{api}}', token: 'none' }});"
    );
    host.page("/rows", POLICY, body, &script);
    let begin = async || {
        person.go("/rows").await;
        person.see("the bubble", bubble(A)).await;
    };
    let open = async || {
        begin().await;
        person.ask("void light.show()").await;
        person.see("the popover", Tree::popover).await
    };

    // Moved while open: it closes, and opens at its new place.
    open().await;
    person.ask("void there.append(light)").await;
    person.see("it closed", closed).await;
    person.ask("void light.show()").await;
    person.see("it opens again", Tree::popover).await;
    // Given to another lead while open.
    person.ask("void (light.lead = 'b')").await;
    person.see("it closed", closed).await;
    person.see("the other lead", bubble("Ada: Active")).await;

    // A clone is a bubble of its own.
    begin().await;
    person.ask("void there.append(light.cloneNode())").await;
    person
        .see("two bubbles", |tree| {
            (tree.bubbles().filter(|bubble| bubble.name == A).count() == 2).then_some(())
        })
        .await;

    // Removed while open.
    open().await;
    person.ask("void light.remove()").await;
    person
        .see("nothing left", |tree| {
            (tree.bubbles().count() == 0 && tree.popover().is_none()).then_some(())
        })
        .await;

    // Removed, or given to another lead, while Check again runs.
    for leave in ["light.remove()", "light.lead = 'c'"] {
        let popover = open().await;
        person
            .press(&popover.find("button", "Check again").unwrap())
            .await;
        person
            .see("it running", |tree| {
                tree.popover()?.find("button", "Checking…")
            })
            .await;
        person.ask(&format!("void ({leave})")).await;
        person.ask("void finish()").await;
        person
            .wait_for("new Promise((resolve) => setTimeout(resolve, 50)).then(() => {})")
            .await;
        if leave.contains("lead") {
            person
                .see("the other lead", bubble("Ada: Unsubscribed"))
                .await;
        }
        // Back again, it knows what came of it.
        person
            .ask("void (light.lead = 'a', here.append(light))")
            .await;
        person.see("what came of it", bubble("Ada: Active")).await;
    }
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_counts_whatever_becomes_known_meanwhile() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let body = "<lead-light lead=a label=Ada></lead-light>";
    host.page("/press", POLICY, body, PRESET);
    person.go("/press").await;
    person.see("the bubble", bubble(A)).await;
    person.point_at("lead-light").await;
    let popover = person.see("Check again", offered).await;
    let button = popover.find("button", "Check again").unwrap();
    person.hold(&button).await;
    // There is less to say now, so the button is to be drawn higher up, away from the pointer.
    person
        .ask(
            "void setStatuses([{ lead: 'a', status: 'blocklisted', standing: 'active', reason: 'hard_bounce',
                cause: 'mailbox_missing', resolution: 'check_again', may_check_again: true }])",
        )
        .await;
    person
        .see("the new status", bubble("Ada: Blocklisted, hard bounce"))
        .await;
    person.let_go().await;
    let popover = person
        .see("it running", |tree| {
            let popover = tree.popover()?;
            popover
                .find("button", "Checking…")
                .is_some()
                .then_some(popover)
        })
        .await;
    assert!(
        popover
            .find("heading", "Blocklisted — hard bounce")
            .is_some(),
        "what became known is shown after the press: {popover:?}"
    );
    let types = person.ask("seen.map(({ type }) => type)").await;
    assert_eq!(types, json!(["open", "change", "check"]));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escape_closes_the_popover_and_not_the_dialog_around_it() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let body = "<dialog id=modal><p>A form of the host</p><lead-light lead=a label=Ada></lead-light></dialog>";
    let script = format!("{PRESET} modal.showModal();");
    host.page("/modal", POLICY, body, &script);
    person.go("/modal").await;
    let node = person.see("the bubble", bubble(A)).await;
    person.press(&node).await;
    person
        .see("it above the modal, pinned", |tree| {
            // The modal is a dialog too.
            tree.find("button", "Check again")
        })
        .await;
    person.key(Key::Escape).await;
    person
        .see("it closed", |tree| {
            tree.find("button", "Check again").is_none().then_some(())
        })
        .await;
    assert_eq!(person.ask("modal.open").await, json!(true));
    let tree = person.tree().await;
    assert_eq!(
        tree.focused().unwrap().name,
        A,
        "the focus is back on the bubble"
    );
    person.key(Key::Escape).await;
    assert_eq!(person.ask("modal.open").await, json!(false));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fits_and_can_be_reached_wherever_it_is() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    person.before_each_page(INSPECTED).await;
    let script = format!("{PRESET} window.light = document.querySelector('lead-light');");
    let whole = "(async () => {
        const popover = await opened(light);
        const [at, from] = [box(popover), box(bubbleOf(light))];
        const { clientWidth, clientHeight } = document.documentElement;
        const middle = document.elementFromPoint((at.left + at.right) / 2, (at.top + at.bottom) / 2);
        return {
            inWindow: at.left >= 0 && at.top >= 0 && at.right <= clientWidth && at.bottom <= clientHeight,
            touches: at.top <= from.bottom + 16 && at.bottom >= from.top - 16,
            onTop: middle === light,
            sideways: document.documentElement.scrollWidth > clientWidth || popover.scrollWidth > popover.clientWidth,
        };
    })()";
    let good = json!({ "inWindow": true, "touches": true, "onTop": true, "sideways": false });

    // In a table that clips what is in it, at each corner of the window.
    let corner = |place: &str| {
        format!(
            "<style>html {{ overflow-y: scroll }} ::-webkit-scrollbar {{ inline-size: 15px }}</style>\
             <div style='position:fixed;{place};inline-size:60px;block-size:30px;overflow:hidden'>\
             <lead-light lead=a label=Ada></lead-light></div>"
        )
    };
    let corners = [
        "top:0;left:0",
        "top:0;right:0",
        "bottom:0;left:0",
        "bottom:0;right:0",
    ];
    // A phone, 400 % zoom of a window of 1280 by 1024, and a desk.
    for (width, height, scale) in [(320, 568, 2), (320, 256, 4), (1280, 800, 1)] {
        let window = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        person
            .tell("Emulation.setDeviceMetricsOverride", window)
            .await;
        for (number, place) in corners.iter().enumerate() {
            let path = format!("/corner-{number}");
            host.page(&path, "", &corner(place), &script);
            person.go(&path).await;
            assert_eq!(
                person.wait_for(whole).await,
                good,
                "{place} in {width}x{height}"
            );
        }
    }

    // In a frame.
    host.page(
        "/inner",
        "",
        "<lead-light lead=a label=Ada></lead-light>",
        &script,
    );
    host.page(
        "/outer",
        "",
        "<iframe src=/inner width=400 height=400></iframe>",
        "",
    );
    person.go("/outer").await;
    let framed = person
        .wait_for(&format!(
            "(async () => {{
                const [frame] = document.getElementsByTagName('iframe');
                while (!frame.contentWindow.light?.matches(':defined')) await new Promise(requestAnimationFrame);
                return frame.contentWindow.eval({});
            }})()",
            json!(whole)
        ))
        .await;
    assert_eq!(framed, good, "in a frame");

    // Everything that is pressed is at least 24 pixels each way, in both densities.
    host.page(
        "/targets",
        "",
        "<lead-light lead=a label=Ada></lead-light>",
        &script,
    );
    person.go("/targets").await;
    for density in ["regular", "compact"] {
        let small = person
            .wait_for(&format!(
                "(async () => {{
                    configure({{ support: {{ url: '#' }}, leadLog: () => '#' }});
                    light.density = '{density}';
                    const popover = await opened(light);
                    const targets = [bubbleOf(light), ...popover.querySelectorAll('button, a')];
                    return targets.map((target) => [target.textContent, box(target)])
                        .filter(([, {{ width, height }}]) => width < 24 || height < 24);
                }})()"
            ))
            .await;
        assert_eq!(small, json!([]), "{density}");
    }

    // Text may be spaced as WCAG 1.4.12 says, and nothing is lost.
    let spaced = person
        .wait_for(
            "(async () => {
                const popover = await opened(light);
                const sheet = new CSSStyleSheet();
                sheet.replaceSync('* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-block-end: 2em !important }');
                light.shadowRoot.adoptedStyleSheets = [...light.shadowRoot.adoptedStyleSheets, sheet];
                dispatchEvent(new Event('resize'));
                await new Promise(requestAnimationFrame);
                const lost = [...popover.querySelectorAll('*')].filter((part) =>
                    part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).display !== 'inline');
                return [lost.map((part) => part.outerHTML), popover.scrollWidth - popover.clientWidth];
            })()",
        )
        .await;
    assert_eq!(spaced, json!([[], 0]));

    // Who wants no motion sees none; the others see the popover fade in.
    person.go("/targets").await;
    let transition =
        "opened(light).then((popover) => getComputedStyle(popover).transitionDuration)";
    assert_eq!(person.wait_for(transition).await, json!("0s"));
    let moving =
        json!({ "features": [{ "name": "prefers-reduced-motion", "value": "no-preference" }] });
    person.tell("Emulation.setEmulatedMedia", moving).await;
    assert_ne!(person.wait_for(transition).await, json!("0s"));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trouble_has_its_own_quiet_face() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    // The network as the page sees it; `answers` are the statuses that it gives, the last for ever. A page that nobody looks at tries
    // nothing by itself.
    let script = "Object.defineProperty(document, 'hidden', { get: () => true });
        window.asked = 0;
        window.tokens = 0;
        window.answers = JSON.parse(decodeURIComponent(location.search.slice(1)));
        window.fetch = ((fetch) => async (resource, init) => {
            if (!String(resource).includes('/v1/')) return fetch(resource, init);
            asked += 1;
            const answer = answers.length > 1 ? answers.shift() : answers[0];
            if (answer === 0) throw new TypeError('no network');
            if (answer === 'slow') return new Promise(() => {});
            if (answer === 200) return Response.json({ statuses: [{ lead: 'a', status: 'active', standing: 'active' }] });
            return new Response(JSON.stringify({ status: answer, title: 'no' }), {
                status: answer, headers: { 'content-type': 'application/problem+json', ...(answer === 429 && { 'retry-after': '30' }) },
            });
        })(window.fetch);
        configure({ endpoint: '{api}', getToken: async () => `token ${tokens += 1}` });";
    host.page(
        "/trouble",
        POLICY,
        "<lead-light lead=a label=Ada></lead-light>",
        script,
    );
    let cases: [(Value, &str, &str, &str, [u64; 2]); 8] = [
        (json!([401, 200]), "Ada: Active", "", "", [2, 2]),
        (
            json!([401]),
            "Ada: Status not available",
            "your session has ended",
            "unauthorised",
            [2, 2],
        ),
        (
            json!([403]),
            "Ada: Status not available",
            "You may not see",
            "forbidden",
            [1, 1],
        ),
        (
            json!([429]),
            "Ada: Status not available",
            "too many requests",
            "busy",
            [1, 1],
        ),
        (
            json!([500]),
            "Ada: Status not available",
            "just now",
            "unavailable",
            [1, 1],
        ),
        (
            json!([503]),
            "Ada: Status not available",
            "just now",
            "unavailable",
            [1, 1],
        ),
        (
            json!([0]),
            "Ada: Status not available",
            "server was not reached",
            "offline",
            [1, 1],
        ),
        (
            json!(["slow"]),
            "Ada: Status is loading",
            "on its way",
            "",
            [1, 1],
        ),
    ];
    for (answers, name, words, code, [requests, tokens]) in cases {
        person.go(&format!("/trouble?{answers}")).await;
        let node = person.see(name, bubble(name)).await;
        let (_, word) = name.rsplit_once(' ').unwrap();
        let state = match word {
            "Active" => "active",
            "loading" => "loading",
            _ => "failed",
        };
        let matches = format!("document.querySelector('lead-light').matches(':state({state})')");
        assert_eq!(person.ask(&matches).await, json!(true), "{state}");
        let counted = person.ask("[asked, tokens]").await;
        assert_eq!(counted, json!([requests, tokens]), "{answers}");
        let codes = person
            .wait_for(&format!(
                "(async () => {{
                    // The face and the word of it come one after the other.
                    for (let tries = 0; tries < 100 && seen.length < {}; tries += 1) {{
                        await new Promise((resolve) => setTimeout(resolve, 20));
                    }}
                    return seen.map(({{ detail }}) => detail.code);
                }})()",
                usize::from(!code.is_empty())
            ))
            .await;
        let expected = if code.is_empty() {
            json!([])
        } else {
            json!([code])
        };
        assert_eq!(codes, expected, "{answers}");
        if !words.is_empty() {
            person.press(&node).await;
            let said = |tree: &Tree| tree.popover()?.words().contains(words).then_some(());
            person.see(words, said).await;
            assert!(
                person.ask("asked").await.as_u64() <= Some(requests + 1),
                "no storm"
            );
        }
        assert_eq!(person.uncaught().await, json!([]), "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_that_goes_while_it_has_the_focus_leaves_the_popover_open() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let script = format!("{PRESET} window.light = document.querySelector('lead-light');");
    let body = "<lead-light lead=a label=Ada></lead-light>";
    host.page("/focus", POLICY, body, &script);
    person.go("/focus").await;
    person.see("the bubble", bubble(A)).await;
    person.ask("void light.show()").await;
    person
        .see("the focus on the provider's words", |tree| {
            let focused = tree.popover()?.focused().cloned()?;
            (focused.name == SAID).then_some(())
        })
        .await;
    // What the provider said belongs to an address that the lead no longer has.
    person
        .ask(
            "void setStatuses([{ lead: 'a', status: 'blocklisted', standing: 'active', reason: 'undeliverable',
                cause: 'no_mail_server', resolution: 'check_again', may_check_again: true, held: true }])",
        )
        .await;
    let popover = person
        .see("what is left to say", |tree| {
            tree.popover()
                .filter(|popover| popover.words().contains("former address"))
        })
        .await;
    assert!(popover.focused().is_some(), "{popover:?}");
    let types = person.ask("seen.map(({ type }) => type)").await;
    assert_eq!(types, json!(["open"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_comes_back_by_itself_and_not_before_the_server_said() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let script = "window.times = [];
        window.fetch = ((fetch) => async (resource, init) => {
            if (!String(resource).includes('/v1/')) return fetch(resource, init);
            times.push(performance.now());
            if (times.length === 1) return new Response('{}', { status: 429, headers: { 'retry-after': '4' } });
            if (times.length === 2) return new Response('{}', { status: 503 });
            return Response.json({ statuses: [{ lead: 'a', status: 'active', standing: 'active' }] });
        })(window.fetch);
        configure({ endpoint: '{api}', token: 'none' });";
    let body = "<lead-light lead=a label=Ada></lead-light>";
    host.page("/again", POLICY, body, script);
    person.go("/again").await;
    let failed = "Ada: Status not available";
    person.see("that it failed", bubble(failed)).await;
    // Nobody does anything.
    person.see("that it is back", bubble("Ada: Active")).await;
    let waits = person
        .ask("[times[1] - times[0], times[2] - times[1]]")
        .await;
    let [first, second]: [f64; 2] = serde_json::from_value(waits).unwrap();
    assert!((4_000.0..8_000.0).contains(&first), "waited {first} ms");
    assert!((2_000.0..12_000.0).contains(&second), "waited {second} ms");
    assert_eq!(person.ask("times.length").await, json!(3));
    let told = person.ask("seen.map(({ detail }) => detail.code)").await;
    assert_eq!(told, json!(["busy", "unavailable"]), "each once");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_popover_that_breaks_says_so_and_the_next_press_starts_it_anew() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    // What the module calls in the middle of drawing fails as it would itself.
    let script = format!(
        "{PRESET}
        window.trap = true;
        const {{ get }} = Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, 'format');
        Object.defineProperty(Intl.DateTimeFormat.prototype, 'format', {{ get() {{
            if (trap) throw new WebAssembly.RuntimeError('unreachable');
            return get.call(this);
        }} }});"
    );
    let body =
        "<lead-light lead=a label=Ada></lead-light><lead-light lead=b label=Bob></lead-light>";
    host.page("/trap", POLICY, body, &script);
    person.go("/trap").await;
    let node = person.see("the bubble", bubble(A)).await;
    person.press(&node).await;
    let broken = "Ada: Email status is not available in this page.";
    let node = person.see("that it says so", bubble(broken)).await;
    person.see("no popover", closed).await;
    let told = person
        .ask("seen.map(({ type, detail }) => detail.code ?? type)")
        .await;
    assert_eq!(told, json!(["open", "close", "unsupported"]));
    person
        .see("the other bubble as it was", bubble("Bob: Active"))
        .await;

    person.ask("void (trap = false)").await;
    person.press(&node).await;
    let popover = person.see("Check again", offered).await;
    assert!(popover.words().contains("Since"), "{popover:?}");
    person.see("the bubble as it was", bubble(A)).await;
    // It works as if nothing had happened, and nothing of the broken one answers too.
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    let types = "seen.map(({ type }) => type)";
    assert_eq!(
        person.ask(types).await,
        json!(["open", "close", "error", "open", "check"])
    );
    person.key(Key::Escape).await;
    person.see("it closed", closed).await;
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_drawn_by_yew_too_hears_nothing_of_ours() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let built = tokio::task::spawn_blocking(|| widget::yew_host(&Progress::silent()));
    let built = built.await.unwrap().unwrap();
    for (name, kind) in [
        ("yew_host.js", "text/javascript"),
        ("yew_host_bg.wasm", "application/wasm"),
    ] {
        let file = std::fs::read(built.join(name)).unwrap();
        host.put(&format!("/{name}"), kind, file);
    }
    // The page's own application comes first, and has its listeners above the bubble when that is defined.
    let script = format!(
        "{PRESET} await (await import('/yew_host.js')).default({{ module_or_path: '/yew_host_bg.wasm' }});"
    );
    let policy = POLICY.replace("connect-src", "connect-src 'self'");
    host.page("/yew", &policy, "<main id=app></main>", &script);
    person.go("/yew").await;
    let node = person.see("the bubble", bubble(A)).await;
    let counted = "document.querySelector('#count').textContent";
    person.click("#count").await;
    assert_eq!(person.ask(counted).await, json!("1"), "the page works");

    person.point_at("lead-light").await;
    person.see("a preview", Tree::popover).await;
    person.press(&node).await;
    let popover = person.see("Check again", offered).await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    let types = "seen.map(({ type }) => type)";
    assert_eq!(person.ask(types).await, json!(["open", "check"]));
    assert_eq!(person.ask(counted).await, json!("1"), "it heard ours");
    // Its own redrawing leaves the open popover alone.
    person
        .ask("void document.querySelector('#count').click()")
        .await;
    assert_eq!(person.ask(counted).await, json!("2"));
    person.see("the popover still", Tree::popover).await;
    person.key(Key::Escape).await;
    person.see("it closed", closed).await;
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_a_thousand_only_what_is_looked_at_is_asked_for() {
    let stack = demo().await;
    let host = Host::start(&stack).await;
    let person = Browser::open(host.origin.clone()).await;
    let script = format!(
        "window.asked = [];
        window.fetch = ((fetch) => (resource, init) => {{
            if (String(resource).includes('/v1/statuses')) asked.push(JSON.parse(init.body).leads);
            return fetch(resource, init);
        }})(window.fetch);
        {CONNECT}
        for (let place = 0; place < 1500; place += 1) {{
            const row = document.createElement('div');
            row.append(Object.assign(document.createElement('lead-light'), {{ lead: `lead-${{place}}`, label: `Lead ${{place}}` }}));
            document.body.append(row);
        }}"
    );
    host.page("/many", POLICY, "", &script);
    person.go("/many").await;
    person
        .see("the first", bubble("Lead 0: Not known yet"))
        .await;
    let settled = "new Promise((resolve) => setTimeout(resolve, 600)).then(() =>
        [asked.length, asked.flat().length, new Set(asked.flat()).size])";
    assert_eq!(person.wait_for(settled).await, json!([10, 1_000, 1_000]));
    let last = person.ask("asked.flat().at(-1)").await;
    assert_eq!(last, json!("lead-999"), "in the order of the page");
    person
        .ask("void document.body.lastElementChild.scrollIntoView()")
        .await;
    person
        .see("the last", bubble("Lead 1499: Not known yet"))
        .await;
    let [requests, leads, different]: [u64; 3] =
        serde_json::from_value(person.wait_for(settled).await).unwrap();
    assert_eq!(leads, different, "none twice");
    assert!(
        (11..=12).contains(&requests) && leads < 1_100,
        "{requests} requests for {leads} leads"
    );
    assert_eq!(person.uncaught().await, json!([]));
}
