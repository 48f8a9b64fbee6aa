//! Where the popover goes: below its bubble or above it, along its start edge, and never outside the window. Pure.

/// How far the popover stays from the edges of the window.
const MARGIN: f64 = 8.0;
/// How far it stays from its bubble. Small enough for the pointer to cross within the grace of closing.
const GAP: f64 = 4.0;
/// The height below which it is rather put over what is beside its bubble than squeezed.
const LEAST_ROOM: f64 = 120.0;

/// A box in the window, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A width and a height in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Which edge of the popover is fixed, and how far from that edge of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Edge {
    Top(f64),
    Bottom(f64),
}

/// A place for the popover. It may grow up to `room` away from the fixed edge, and scrolls beyond that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) left: f64,
    pub(crate) edge: Edge,
    pub(crate) room: f64,
}

/// Whether anything of `bubble` is inside the window.
pub(crate) fn is_visible(bubble: Area, window: Size) -> bool {
    bubble.left < window.width
        && bubble.top < window.height
        && bubble.left + bubble.width > 0.0
        && bubble.top + bubble.height > 0.0
}

/// The place of a popover of the size `popover` at `bubble`.
pub(crate) fn place(bubble: Area, popover: Size, window: Size, right_to_left: bool) -> Place {
    let aligned = if right_to_left {
        bubble.left + bubble.width - popover.width
    } else {
        bubble.left
    };
    let left = aligned
        .min(window.width - MARGIN - popover.width)
        .max(MARGIN);
    let below = window.height - MARGIN - (bubble.top + bubble.height + GAP);
    let above = bubble.top - GAP - MARGIN;
    if below.max(above) < LEAST_ROOM {
        return Place {
            left,
            edge: Edge::Top(MARGIN),
            room: window.height - 2.0 * MARGIN,
        };
    }
    if popover.height <= below || below >= above {
        Place {
            left,
            edge: Edge::Top(bubble.top + bubble.height + GAP),
            room: below,
        }
    } else {
        Place {
            left,
            edge: Edge::Bottom(window.height - bubble.top + GAP),
            room: above,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Size = Size {
        width: 1_000.0,
        height: 800.0,
    };
    const POPOVER: Size = Size {
        width: 300.0,
        height: 200.0,
    };

    fn bubble(left: f64, top: f64) -> Area {
        Area {
            left,
            top,
            width: 24.0,
            height: 24.0,
        }
    }

    #[test]
    fn it_opens_below_along_the_start_edge() {
        let below = Place {
            left: 100.0,
            edge: Edge::Top(128.0),
            room: 664.0,
        };
        assert_eq!(place(bubble(100.0, 100.0), POPOVER, WINDOW, false), below);
        assert_eq!(
            place(bubble(500.0, 100.0), POPOVER, WINDOW, true),
            Place {
                left: 224.0,
                ..below
            }
        );
    }

    #[test]
    fn it_flips_above_where_there_is_more_room() {
        let above = Place {
            left: 100.0,
            edge: Edge::Bottom(104.0),
            room: 688.0,
        };
        assert_eq!(place(bubble(100.0, 700.0), POPOVER, WINDOW, false), above);
    }

    #[test]
    fn it_shifts_inside_the_window() {
        let narrow = Size {
            width: 280.0,
            height: 800.0,
        };
        let shifted = [
            place(bubble(980.0, 0.0), POPOVER, WINDOW, false),
            place(bubble(4.0, 0.0), POPOVER, WINDOW, true),
            // Wider than the window allows: the start stays readable.
            place(bubble(100.0, 0.0), POPOVER, narrow, false),
        ];
        let place_at = |left| Place {
            left,
            edge: Edge::Top(28.0),
            room: 764.0,
        };
        assert_eq!(shifted, [692.0, 8.0, 8.0].map(place_at));
    }

    #[test]
    fn it_covers_the_bubble_rather_than_being_squeezed() {
        let low = Size {
            width: 320.0,
            height: 200.0,
        };
        let over = Place {
            left: 8.0,
            edge: Edge::Top(8.0),
            room: 184.0,
        };
        assert_eq!(place(bubble(0.0, 90.0), POPOVER, low, false), over);
    }

    #[test]
    fn a_bubble_that_scrolled_out_is_not_visible() {
        assert!(is_visible(bubble(0.0, -23.0), WINDOW));
        assert!(!is_visible(bubble(0.0, -24.0), WINDOW));
        assert!(!is_visible(bubble(0.0, 800.0), WINDOW));
    }
}
