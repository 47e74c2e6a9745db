//! Heat: a body that is warmed by its losses and cools towards the room.

/// The temperature of the room, in degrees Celsius.
pub(crate) const ROOM: f64 = 22.0;

/// One body with one temperature (first-order lag).
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Degrees Celsius.
    pub(crate) temperature: f64,
    /// Seconds in which a difference to the room shrinks to 37 %.
    lag: f64,
    /// Degrees above the room that it reaches under full load.
    rise: f64,
}

impl Body {
    pub(crate) const fn new(lag: f64, rise: f64) -> Self {
        Self { temperature: ROOM, lag, rise }
    }

    /// Goes on for `seconds` under `load` (0 to 1, or a little more).
    pub(crate) fn advance(&mut self, seconds: f64, load: f64) {
        let end = ROOM + self.rise * load.max(0.0);
        self.temperature += (end - self.temperature) * (1.0 - (-seconds / self.lag).exp());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_warms_up_slowly_towards_its_end_and_cools_down_to_the_room() {
        let mut body = Body::new(100.0, 40.0);
        body.advance(100.0, 1.0);
        assert!((body.temperature - (ROOM + 40.0 * 0.632)).abs() < 0.1);
        body.advance(10_000.0, 1.0);
        assert!((body.temperature - (ROOM + 40.0)).abs() < 0.01);
        body.advance(10_000.0, 0.0);
        assert!((body.temperature - ROOM).abs() < 0.01);
    }

    #[test]
    fn the_length_of_the_steps_does_not_matter() {
        let (mut once, mut often) = (Body::new(60.0, 30.0), Body::new(60.0, 30.0));
        once.advance(30.0, 0.5);
        (0..300).for_each(|_| often.advance(0.1, 0.5));
        assert!((once.temperature - often.temperature).abs() < 1e-6);
    }
}
