//! When the popover opens and closes: a pure state machine over what people do. Pointer and focus preview, a press pins.
//!
//! Delays and rules are those of hover cards and non-modal dialogs (WCAG 2.2, 1.4.13; APG). It never sees touch hover: a tap
//! arrives as a press.

/// The number of a connected element.
pub(crate) type Slot = u32;

/// How long the pointer rests on a bubble before its popover opens.
const OPEN_MS: i32 = 300;
/// How long after the last popover closed the next one opens without waiting.
const WARM_MS: f64 = 1_000.0;
/// How long the pointer may be outside before the popover closes, so that it can cross the gap.
const GRACE_MS: i32 = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gesture {
    /// The pointer came over the bubble or its popover.
    Enter(Slot),
    /// The pointer left both.
    Leave(Slot),
    /// The keyboard focus came to the bubble.
    Focus(Slot),
    /// The focus left bubble and popover, to something else in the page.
    Blur(Slot),
    /// The bubble was clicked, tapped, or pressed by key.
    Press(Slot),
    /// The focus went into the popover: somebody works with it.
    Engage(Slot),
    /// The page asks to show it.
    Show(Slot),
    /// The page asks to hide it, or the bubble is no longer there to point at.
    Hide(Slot),
    /// The Escape key.
    Escape,
    /// Something outside was pressed.
    PressOutside,
    /// The time that was asked for has passed.
    Elapsed,
}

/// What is to be done about it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Open the popover at a bubble.
    Open(Slot),
    /// Keep it open, reachable by key, and move the focus into it where `focus` says so.
    Pin { slot: Slot, focus: bool },
    /// Close it. The focus, if inside, goes back to the bubble where `refocus` says so.
    Close { slot: Slot, refocus: bool },
    /// Come back with [`Gesture::Elapsed`] after this many milliseconds; any earlier such wish is void.
    Wait(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Open(Slot),
    Close,
}

/// Which popover is open, and what is about to happen.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    open: Option<Slot>,
    pinned: bool,
    pending: Option<Pending>,
    pointed: Option<Slot>,
    focused: Option<Slot>,
    closed_at: Option<f64>,
}

impl Intent {
    /// The bubble whose popover is open.
    pub(crate) fn open(&self) -> Option<Slot> {
        self.open
    }

    /// Whether the open popover stays until it is closed on purpose.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Takes note of `gesture`.
    pub(crate) fn act(&mut self, gesture: Gesture, now: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match gesture {
            Gesture::Enter(slot) => {
                self.pointed = Some(slot);
                let warm =
                    self.open.is_some() || self.closed_at.is_some_and(|at| now - at < WARM_MS);
                if self.open == Some(slot) {
                    self.pending = None;
                } else if self.pinned {
                    // What is pinned is not taken away by passing over another bubble.
                } else if warm {
                    self.show(slot, now, &mut effects);
                } else {
                    self.wait(Pending::Open(slot), OPEN_MS, &mut effects);
                }
            }
            Gesture::Leave(slot) => {
                self.pointed = self.pointed.filter(|pointed| *pointed != slot);
                self.let_go(slot, &mut effects);
            }
            Gesture::Focus(slot) => {
                self.focused = Some(slot);
                if self.open != Some(slot) {
                    self.show(slot, now, &mut effects);
                }
            }
            Gesture::Blur(slot) => {
                self.focused = self.focused.filter(|focused| *focused != slot);
                if self.open == Some(slot) && self.pinned {
                    self.close(false, now, &mut effects);
                } else {
                    self.let_go(slot, &mut effects);
                }
            }
            Gesture::Press(slot) if self.open == Some(slot) && self.pinned => {
                self.close(true, now, &mut effects);
            }
            Gesture::Press(slot) | Gesture::Show(slot) => {
                self.show(slot, now, &mut effects);
                if !std::mem::replace(&mut self.pinned, true) {
                    effects.push(Effect::Pin { slot, focus: true });
                }
            }
            Gesture::Engage(slot) => {
                if self.open == Some(slot) && !std::mem::replace(&mut self.pinned, true) {
                    self.pending = None;
                    effects.push(Effect::Pin { slot, focus: false });
                }
            }
            Gesture::Hide(slot) => {
                if self.open == Some(slot) {
                    self.close(true, now, &mut effects);
                }
                if self.pending == Some(Pending::Open(slot)) {
                    self.pending = None;
                }
                self.pointed = self.pointed.filter(|pointed| *pointed != slot);
                self.focused = self.focused.filter(|focused| *focused != slot);
            }
            Gesture::Escape => {
                self.pending = None;
                self.close(true, now, &mut effects);
            }
            Gesture::PressOutside => {
                self.pending = None;
                self.close(false, now, &mut effects);
            }
            Gesture::Elapsed => match self.pending.take() {
                Some(Pending::Open(slot)) => self.show(slot, now, &mut effects),
                Some(Pending::Close) => self.close(false, now, &mut effects),
                None => {}
            },
        }
        effects
    }

    fn show(&mut self, slot: Slot, now: f64, effects: &mut Vec<Effect>) {
        self.pending = None;
        if self.open == Some(slot) {
            return;
        }
        self.close(false, now, effects);
        self.open = Some(slot);
        effects.push(Effect::Open(slot));
    }

    fn close(&mut self, refocus: bool, now: f64, effects: &mut Vec<Effect>) {
        self.pinned = false;
        if let Some(slot) = self.open.take() {
            self.pending = None;
            self.closed_at = Some(now);
            effects.push(Effect::Close { slot, refocus });
        }
    }

    /// Neither pointer nor focus hold `slot` any longer, perhaps.
    fn let_go(&mut self, slot: Slot, effects: &mut Vec<Effect>) {
        if self.pending == Some(Pending::Open(slot)) {
            self.pending = None;
        }
        let held = self.pinned || self.pointed == Some(slot) || self.focused == Some(slot);
        if self.open == Some(slot) && !held {
            self.wait(Pending::Close, GRACE_MS, effects);
        }
    }

    fn wait(&mut self, pending: Pending, ms: i32, effects: &mut Vec<Effect>) {
        self.pending = Some(pending);
        effects.push(Effect::Wait(ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Slot = 1;
    const B: Slot = 2;

    #[track_caller]
    fn check(story: &[(f64, Gesture, &[Effect])]) {
        let mut intent = Intent::default();
        for (now, gesture, effects) in story {
            assert_eq!(intent.act(*gesture, *now), *effects, "{gesture:?} at {now}");
        }
    }

    const PIN_A: Effect = Effect::Pin {
        slot: A,
        focus: true,
    };
    const CLOSE_A: Effect = Effect::Close {
        slot: A,
        refocus: false,
    };

    #[test]
    fn the_pointer_previews_after_a_rest_and_neighbours_open_at_once() {
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (300.0, Gesture::Elapsed, &[Effect::Open(A)]),
            (900.0, Gesture::Leave(A), &[Effect::Wait(GRACE_MS)]),
            (950.0, Gesture::Enter(B), &[CLOSE_A, Effect::Open(B)]),
        ]);
    }

    #[test]
    fn passing_over_a_bubble_opens_nothing() {
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (100.0, Gesture::Leave(A), &[]),
            (300.0, Gesture::Elapsed, &[]),
        ]);
    }

    #[test]
    fn the_pointer_may_cross_into_the_popover() {
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (300.0, Gesture::Elapsed, &[Effect::Open(A)]),
            (400.0, Gesture::Leave(A), &[Effect::Wait(GRACE_MS)]),
            (500.0, Gesture::Enter(A), &[]),
            (600.0, Gesture::Elapsed, &[]),
        ]);
    }

    #[test]
    fn warmth_lasts_a_second() {
        check(&[
            (0.0, Gesture::Show(A), &[Effect::Open(A), PIN_A]),
            (10.0, Gesture::PressOutside, &[CLOSE_A]),
            (1_009.0, Gesture::Enter(B), &[Effect::Open(B)]),
            (
                1_010.0,
                Gesture::Escape,
                &[Effect::Close {
                    slot: B,
                    refocus: true,
                }],
            ),
            (2_010.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
        ]);
    }

    #[test]
    fn a_press_pins_a_preview_and_a_second_press_closes_it() {
        check(&[
            (0.0, Gesture::Focus(A), &[Effect::Open(A)]),
            (10.0, Gesture::Press(A), &[PIN_A]),
            (20.0, Gesture::Enter(B), &[]),
            (30.0, Gesture::Leave(B), &[]),
            (
                40.0,
                Gesture::Press(A),
                &[Effect::Close {
                    slot: A,
                    refocus: true,
                }],
            ),
        ]);
    }

    #[test]
    fn what_is_pinned_stays_when_the_pointer_leaves_and_goes_when_the_focus_leaves() {
        check(&[
            (0.0, Gesture::Press(A), &[Effect::Open(A), PIN_A]),
            (10.0, Gesture::Enter(A), &[]),
            (20.0, Gesture::Leave(A), &[]),
            (30.0, Gesture::Blur(A), &[CLOSE_A]),
        ]);
    }

    #[test]
    fn a_preview_stays_while_pointer_or_focus_hold_it() {
        check(&[
            (0.0, Gesture::Focus(A), &[Effect::Open(A)]),
            (10.0, Gesture::Enter(A), &[]),
            (20.0, Gesture::Blur(A), &[]),
            (30.0, Gesture::Leave(A), &[Effect::Wait(GRACE_MS)]),
            (230.0, Gesture::Elapsed, &[CLOSE_A]),
        ]);
    }

    #[test]
    fn escape_closes_and_the_resting_pointer_does_not_open_it_again() {
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (300.0, Gesture::Elapsed, &[Effect::Open(A)]),
            (
                400.0,
                Gesture::Escape,
                &[Effect::Close {
                    slot: A,
                    refocus: true,
                }],
            ),
            (700.0, Gesture::Elapsed, &[]),
        ]);
    }

    #[test]
    fn a_bubble_that_is_removed_takes_its_plans_with_it() {
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (10.0, Gesture::Hide(A), &[]),
            (300.0, Gesture::Elapsed, &[]),
            (400.0, Gesture::Press(A), &[Effect::Open(A), PIN_A]),
            (
                500.0,
                Gesture::Hide(A),
                &[Effect::Close {
                    slot: A,
                    refocus: true,
                }],
            ),
        ]);
    }

    #[test]
    fn working_in_a_preview_keeps_it_open() {
        let pin = Effect::Pin {
            slot: A,
            focus: false,
        };
        check(&[
            (0.0, Gesture::Enter(A), &[Effect::Wait(OPEN_MS)]),
            (300.0, Gesture::Elapsed, &[Effect::Open(A)]),
            (400.0, Gesture::Engage(A), &[pin]),
            (500.0, Gesture::Leave(A), &[]),
            (600.0, Gesture::Engage(A), &[]),
        ]);
    }
}
