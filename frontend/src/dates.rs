//! Times in words: the browser's `Intl` formats them, so that no calendar travels in the module.

use js_sys::{Date, Function, Object, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Intl)]
    type DateTimeFormat;
    // The constructors of js-sys do not catch, and the page may give a locale that is none.
    #[wasm_bindgen(constructor, catch, js_namespace = Intl)]
    fn new(locale: &JsValue, options: &JsValue) -> Result<DateTimeFormat, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn format(this: &DateTimeFormat) -> Function;

    #[wasm_bindgen(js_namespace = Intl)]
    type RelativeTimeFormat;
    #[wasm_bindgen(constructor, catch, js_namespace = Intl)]
    fn new(locale: &JsValue, options: &JsValue) -> Result<RelativeTimeFormat, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn format(this: &RelativeTimeFormat, value: i32, unit: &str) -> Result<String, JsValue>;
}

/// Formats times for one locale.
pub(crate) struct Dates {
    exact: Option<DateTimeFormat>,
    relative: Option<RelativeTimeFormat>,
}

impl Dates {
    /// The formats of `locale`; of the language `otherwise` if the browser does not know it.
    pub(crate) fn new(locale: Option<&str>, otherwise: &str) -> Self {
        let exact = options(&[("dateStyle", "medium"), ("timeStyle", "short")]);
        let relative = options(&[("numeric", "auto")]);
        let [locale, otherwise] = [locale.unwrap_or(otherwise), otherwise].map(JsValue::from_str);
        Self {
            exact: DateTimeFormat::new(&locale, &exact)
                .or_else(|_| DateTimeFormat::new(&otherwise, &exact))
                .ok(),
            relative: RelativeTimeFormat::new(&locale, &relative)
                .or_else(|_| RelativeTimeFormat::new(&otherwise, &relative))
                .ok(),
        }
    }

    /// Date and time of day, in the time zone of the reader.
    pub(crate) fn exact(&self, time: f64) -> String {
        let formatted = self
            .exact
            .as_ref()
            .and_then(|format| format.format().call1(&JsValue::NULL, &time.into()).ok());
        formatted
            .and_then(|text| text.as_string())
            .unwrap_or_else(|| iso(time))
    }

    /// How long ago or how far ahead, such as “3 days ago”.
    pub(crate) fn relative(&self, time: f64, now: f64) -> Option<String> {
        let (value, unit) = distance(time - now);
        self.relative.as_ref()?.format(value, unit).ok()
    }
}

/// The form for `<time datetime>`.
pub(crate) fn iso(time: f64) -> String {
    Date::new(&time.into()).to_iso_string().into()
}

fn options(pairs: &[(&str, &str)]) -> JsValue {
    let options = Object::new();
    for (name, value) in pairs {
        // Setting a property of an object that we made cannot fail.
        let _ = Reflect::set(
            &options,
            &JsValue::from_str(name),
            &JsValue::from_str(value),
        );
    }
    options.into()
}

/// A distance in time as a number of the largest unit that it fills, rounded towards now.
fn distance(ms: f64) -> (i32, &'static str) {
    const UNITS: &[(f64, &str)] = &[
        (31_557_600_000.0, "year"),
        (2_629_800_000.0, "month"),
        (86_400_000.0, "day"),
        (3_600_000.0, "hour"),
        (60_000.0, "minute"),
    ];
    let filled = UNITS.iter().find(|(length, _)| ms.abs() >= *length);
    let (length, unit) = filled.copied().unwrap_or((1_000.0, "second"));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a saturating cast towards zero is what is meant"
    )]
    let value = (ms / length) as i32;
    (value, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_told_in_the_largest_unit_it_fills() {
        assert_eq!(distance(-59_999.0), (-59, "second"));
        assert_eq!(distance(-60_000.0), (-1, "minute"));
        assert_eq!(distance(-86_399_999.0), (-23, "hour"));
        assert_eq!(distance(-3.5 * 86_400_000.0), (-3, "day"));
        assert_eq!(distance(45.0 * 86_400_000.0), (1, "month"));
        assert_eq!(distance(-800.0 * 86_400_000.0), (-2, "year"));
        assert_eq!(distance(0.0), (0, "second"));
    }
}
