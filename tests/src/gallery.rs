//! Every look of the widget: what it says in every language, that nobody is shut out, and that it looks as it did.
//!
//! The pictures are compared with those in `frontend/pictures/gallery/`; after a change that is meant,
//! `LEADLIGHT_RENEW_PICTURES=1 cargo dev test gallery` takes them anew. Fonts come with the page, so letters have the same
//! shapes on every machine; how their edges are smoothed may differ, and so a picture is compared in tiles.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use leadlight::assessment::Reason;
use leadlight_dev::npm::Packages;
use leadlight_dev::progress::Progress;
use leadlight_dev::workspace;
use serde_json::{Value, json};

use crate::browser::{Browser, Tree};
use crate::story::demo;

const LANGUAGES: [&str; 6] = ["en", "de", "fr", "es", "ar", "ja"];
/// Lets axe look into the widget.
const OPEN: &str = "Element.prototype.attachShadow = ((attach) => function (init) {
        return attach.call(this, { ...init, mode: 'open' });
    })(Element.prototype.attachShadow);";
/// The states that are pictured in every language and theme: each has other parts.
const PICTURED: [&str; 6] = [
    "active",
    "spam_complaint.certain",
    "hard_bounce.unspecified",
    "suggestion",
    "sent_blocked",
    "busy",
];
/// The size of a state's picture, in pixels.
const CELL: (u32, u32) = (340, 440);
/// How many states are in a row of a sheet.
const COLUMNS: usize = 6;
/// The side of the tiles that are compared, in pixels.
const TILE: usize = 8;
/// How far the mean of a tile's channel may be off, of 255, which leaves room for other smoothing of letters. Measured with planted
/// faults: nothing changed is 0 where the same Chromium draws, an `o` for an `e` 13, another word 60, a green that is 32 lighter 18.
const TOLERANCE: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_says_what_it_is_in_every_language() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    for language in LANGUAGES {
        let texts = texts(language);
        enter(&person, language, "light").await;
        let known = names(&person, "known").await;
        for reason in Reason::all() {
            let (name, meaning) = match reason.cause() {
                Some(cause) => {
                    let name = format!("{}.{cause}", reason.code());
                    (name.clone(), format!("reason.{name}.meaning"))
                }
                None => (
                    reason.code().to_owned(),
                    format!("reason.{}.meaning", reason.code()),
                ),
            };
            assert!(known.contains(&name), "the gallery lacks {name}");
            show(&person, &name).await;
            let sentence = words(&texts[&meaning]);
            person
                .see(&sentence, |tree| {
                    tree.popover()?.words().contains(&sentence).then_some(())
                })
                .await;
        }
    }
    assert_eq!(person.uncaught().await, json!([]));

    // All that is said in English, word for word.
    enter(&person, "en", "light").await;
    let mut said = String::new();
    for name in every(&person).await {
        reach(&person, &name).await;
        let popover = person.see("the popover", Tree::popover).await;
        writeln!(said, "{name}: {}", popover.words()).unwrap();
    }
    insta::assert_snapshot!("gallery", said);
    let asked = person
        .ask("performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/')).length")
        .await;
    assert_eq!(asked, json!(0), "it needs no server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shut_out_of_any_state() {
    let stack = demo().await;
    let packages = Packages::fetch(&Progress::silent()).unwrap();
    let axe = fs::read_to_string(packages.file("axe-core/axe.min.js")).unwrap();
    let person = Browser::open(stack.origin()).await;
    person.before_each_page(OPEN).await;
    let mut found = Vec::new();
    for (language, theme, density) in [
        ("en", "light", "regular"),
        ("en", "dark", "compact"),
        ("ar", "light", "compact"),
        ("ja", "dark", "regular"),
    ] {
        person
            .go(&format!(
                "/gallery/?lang={language}&theme={theme}&density={density}"
            ))
            .await;
        ready(&person).await;
        // The policy of the page lets no script in; the debugger may.
        person
            .tell("Runtime.evaluate", json!({ "expression": axe }))
            .await;
        let all = every(&person).await;
        let states = if language == "en" {
            all
        } else {
            PICTURED.map(str::to_owned).to_vec()
        };
        for name in states {
            reach(&person, &name).await;
            let violations = person
                .wait_for(
                    "axe.run('.stage', { resultTypes: ['violations', 'incomplete'] }).then(({ violations, passes }) => {
                        if (!passes.some(({ id }) => id === 'button-name')) throw new Error('axe sees no button');
                        return violations.map(({ id, nodes }) => [id, ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)]);
                    })",
                )
                .await;
            if violations != json!([]) {
                found.push(format!("{language} {theme} {name}: {violations:#}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_looks_as_it_did() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    let mut differing = Vec::new();
    for language in LANGUAGES {
        for theme in ["light", "dark"] {
            enter(&person, language, theme).await;
            let states = if (language, theme) == ("en", "light") {
                every(&person).await
            } else {
                PICTURED.map(str::to_owned).to_vec()
            };
            let mut sheet =
                Picture::blank(COLUMNS.min(states.len()), states.len().div_ceil(COLUMNS));
            for (place, name) in states.iter().enumerate() {
                reach(&person, name).await;
                let cell = Picture::read(&person.corner(CELL.0, CELL.1).await);
                sheet.put(&cell, place);
            }
            let name = format!("{language}-{theme}");
            differing.extend(compare(&name, sheet, &states));
        }
    }
    // The bubbles alone, much enlarged: no letters, all shapes.
    for (name, media) in [
        (
            "light",
            json!({ "name": "prefers-color-scheme", "value": "light" }),
        ),
        (
            "dark",
            json!({ "name": "prefers-color-scheme", "value": "dark" }),
        ),
        (
            "forced-colors",
            json!({ "name": "forced-colors", "value": "active" }),
        ),
    ] {
        let theme = if name == "dark" { "dark" } else { "light" };
        enter(&person, "en", theme).await;
        let window =
            json!({ "width": 1280, "height": 800, "deviceScaleFactor": 4, "mobile": false });
        person
            .tell("Emulation.setDeviceMetricsOverride", window)
            .await;
        person
            .tell("Emulation.setEmulatedMedia", json!({ "features": [media] }))
            .await;
        person.wait_for("gallery.bubbles()").await;
        let picture = Picture::read(&person.corner(320, 72).await);
        differing.extend(compare(&format!("bubbles-{name}"), picture, &[]));
        let window =
            json!({ "width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        person
            .tell("Emulation.setDeviceMetricsOverride", window)
            .await;
    }
    assert!(
        differing.is_empty(),
        "{}\nThe pictures as they are now are in target/screenshots/gallery. If the change is meant: \
         LEADLIGHT_RENEW_PICTURES=1 cargo dev test gallery",
        differing.join("\n")
    );
}

async fn enter(person: &Browser, language: &str, theme: &str) {
    person
        .go(&format!("/gallery/?lang={language}&theme={theme}"))
        .await;
    ready(person).await;
}

async fn ready(person: &Browser) {
    person
        .wait_for(
            "(async () => { while (!window.gallery) await new Promise(requestAnimationFrame); })()",
        )
        .await;
}

async fn names(person: &Browser, group: &str) -> Vec<String> {
    serde_json::from_value(person.ask(&format!("gallery.{group}")).await).unwrap()
}

/// The names of all states, in the order of the page.
async fn every(person: &Browser) -> Vec<String> {
    let mut all = names(person, "known").await;
    all.extend(names(person, "faults").await);
    all
}

async fn show(person: &Browser, name: &str) {
    let shown = person
        .wait_for(&format!("gallery.show({})", json!(name)))
        .await;
    assert_eq!(shown, Value::Null, "{name}");
}

/// Shows a state, and presses Check again where that is what makes it.
async fn reach(person: &Browser, name: &str) {
    show(person, name).await;
    if !names(person, "pressed")
        .await
        .iter()
        .any(|pressed| pressed == name)
    {
        return;
    }
    let button = person
        .see("a button", |tree| {
            tree.popover()?.all("button").last().cloned()
        })
        .await;
    person.press(&button).await;
    person.point_at_nothing().await;
    person
        .see("what came of it", |tree| {
            let popover = tree.popover()?;
            let checking = popover
                .all("button")
                .any(|button| button.name.ends_with('…'));
            (checking || !popover.announcement().is_empty()).then_some(())
        })
        .await;
}

fn texts(language: &str) -> BTreeMap<String, String> {
    let path = workspace::root().join(format!("frontend/texts/{language}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A text as a screen reader's tree has it.
fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// A picture of 24 bits a pixel.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A sheet of so many cells.
    fn blank(columns: usize, rows: usize) -> Self {
        let (width, height) = (CELL.0 as usize * columns, CELL.1 as usize * rows);
        let pixels = vec![[coarse(128); 3]; width * height];
        Self {
            width,
            height,
            pixels,
        }
    }

    fn read(png: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut octets = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut octets).unwrap();
        let samples = info.color_type.samples();
        assert!(samples >= 3, "a picture in colour");
        let pixels = octets[..info.buffer_size()]
            .chunks_exact(samples)
            .map(|pixel| [pixel[0], pixel[1], pixel[2]].map(coarse))
            .collect();
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(
            &mut png,
            u32::try_from(self.width).unwrap(),
            u32::try_from(self.height).unwrap(),
        );
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(self.pixels.as_flattened()).unwrap();
        writer.finish().unwrap();
        png
    }

    /// Puts a cell into its place of the sheet.
    fn put(&mut self, cell: &Self, place: usize) {
        let columns = self.width / CELL.0 as usize;
        let (left, top) = (
            place % columns * CELL.0 as usize,
            place / columns * CELL.1 as usize,
        );
        for (row, pixels) in cell.pixels.chunks_exact(cell.width).enumerate() {
            let start = (top + row) * self.width + left;
            self.pixels[start..start + cell.width].copy_from_slice(pixels);
        }
    }

    /// The means of the channels of a tile, which has its corner at `x` and `y`.
    fn mean(&self, x: usize, y: usize) -> [u32; 3] {
        let mut sums = [0; 3];
        let mut count = 0;
        for row in y..(y + TILE).min(self.height) {
            for pixel in &self.pixels[row * self.width..][x..(x + TILE).min(self.width)] {
                for (sum, channel) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(*channel);
                }
                count += 1;
            }
        }
        sums.map(|sum| sum / count)
    }

    /// Where the farthest tile is, and how far it is off; nothing if the sizes differ.
    fn farthest(&self, other: &Self) -> Option<(usize, usize, u32)> {
        let same = (self.width, self.height) == (other.width, other.height);
        same.then(|| {
            let tiles = (0..self.height)
                .step_by(TILE)
                .flat_map(|y| (0..self.width).step_by(TILE).map(move |x| (x, y)));
            let off = tiles.map(|(x, y)| {
                let [here, there] = [self, other].map(|picture| picture.mean(x, y));
                let off = here
                    .iter()
                    .zip(there)
                    .map(|(here, there)| here.abs_diff(there));
                (x, y, off.max().unwrap_or_default())
            });
            off.max_by_key(|(_, _, off)| *off).unwrap_or_default()
        })
    }
}

/// Sixteen shades are enough to compare, and make a small file.
fn coarse(channel: u8) -> u8 {
    channel / 17 * 17
}

/// Compares a picture with the one that is kept, or keeps it. Says what differs.
fn compare(name: &str, picture: Picture, states: &[String]) -> Option<String> {
    let file = |folder: PathBuf| {
        fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{name}.png"))
    };
    let kept = file(workspace::root().join("frontend/pictures/gallery"));
    if std::env::var_os("LEADLIGHT_RENEW_PICTURES").is_some() {
        fs::write(kept, picture.write()).unwrap();
        return None;
    }
    fs::write(
        file(workspace::target().join("screenshots/gallery")),
        picture.write(),
    )
    .unwrap();
    let Ok(before) = fs::read(&kept) else {
        return Some(format!("{name}: there is no picture to compare with"));
    };
    match picture.farthest(&Picture::read(&before)) {
        None => Some(format!("{name}: its size is another")),
        Some((x, y, off)) if off > TOLERANCE => {
            let columns = picture.width / CELL.0 as usize;
            let place = y / CELL.1 as usize * columns + x / CELL.0 as usize;
            let state = states.get(place).map_or("", String::as_str);
            Some(format!("{name} {state}: off by {off} of 255 at {x},{y}"))
        }
        Some(_) => None,
    }
}
