//! Motion with limited acceleration.

/// The longest step that is integrated at once, in seconds.
const STEP: f64 = 0.002;

/// One coordinate that travels from 0 to `length`: a straight move of several axes is one such
/// travel, along which each axis has its share. Units are the caller's (mm, degrees).
#[derive(Clone, Debug)]
pub(crate) struct Travel {
    length: f64,
    done: f64,
    velocity: f64,
    acceleration: f64,
}

impl Travel {
    pub(crate) fn new(length: f64, acceleration: f64) -> Self {
        Self { length: length.abs(), done: 0.0, velocity: 0.0, acceleration: acceleration.abs().max(1e-9) }
    }

    /// Moves on for `seconds`, at no more than `limit` a second; a limit of 0 brakes to a stand.
    pub(crate) fn advance(&mut self, seconds: f64, limit: f64) {
        let mut left = seconds;
        while left > 0.0 && !self.has_arrived() {
            let step = left.min(STEP);
            left -= step;
            let most = self.acceleration * step;
            // So fast that it can still brake on what is left of the way.
            let rest = self.length - self.done;
            let braking = (2.0 * self.acceleration * rest).sqrt() - most * 0.5;
            let wanted = limit.max(0.0).min(braking.max(most.min(rest / step)));
            self.velocity += (wanted - self.velocity).clamp(-most, most);
            self.done += self.velocity * step;
            if self.done >= self.length - 1e-6 {
                self.done = self.length;
                self.velocity = 0.0;
            }
        }
    }

    pub(crate) fn has_arrived(&self) -> bool {
        self.done >= self.length
    }

    pub(crate) fn velocity(&self) -> f64 {
        self.velocity
    }

    /// How much of the way is done, 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        if self.length > 0.0 { self.done / self.length } else { 1.0 }
    }
}

/// A straight move of several axes at once.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    from: Vec<f64>,
    to: Vec<f64>,
    travel: Travel,
}

impl Line {
    /// Along the distance between the points.
    pub(crate) fn along(from: &[f64], to: &[f64], acceleration: f64) -> Self {
        let length = from.iter().zip(to).map(|(a, b)| (b - a).powi(2)).sum::<f64>().sqrt();
        Self { from: from.to_vec(), to: to.to_vec(), travel: Travel::new(length, acceleration) }
    }

    /// Along the axis that has the longest way; the others keep pace with it (robot joints).
    pub(crate) fn in_step(from: &[f64], to: &[f64], acceleration: f64) -> Self {
        let length = from.iter().zip(to).map(|(a, b)| (b - a).abs()).fold(0.0, f64::max);
        Self { from: from.to_vec(), to: to.to_vec(), travel: Travel::new(length, acceleration) }
    }

    pub(crate) fn advance(&mut self, seconds: f64, limit: f64) {
        self.travel.advance(seconds, limit);
    }

    pub(crate) fn has_arrived(&self) -> bool {
        self.travel.has_arrived()
    }

    pub(crate) fn velocity(&self) -> f64 {
        self.travel.velocity()
    }

    pub(crate) fn position(&self, axis: usize) -> f64 {
        let (from, to) = (self.from[axis], self.to[axis]);
        from + (to - from) * self.travel.fraction()
    }

    /// The axis' share of the velocity, with its sign.
    pub(crate) fn velocity_of(&self, axis: usize) -> f64 {
        let length = self.travel.length;
        if length > 0.0 { (self.to[axis] - self.from[axis]) / length * self.travel.velocity } else { 0.0 }
    }
}

/// Something that turns: its speed follows a target at a limited rate. Revolutions a minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rotor {
    pub(crate) speed: f64,
    pub(crate) target: f64,
}

impl Rotor {
    /// Changes the speed for `seconds` at up to `rate` rpm a second. Returns the share of that rate
    /// that was used, which is what the drive has to do for it.
    pub(crate) fn advance(&mut self, seconds: f64, rate: f64) -> f64 {
        let most = rate * seconds;
        let change = (self.target - self.speed).clamp(-most, most);
        self.speed += change;
        if most > 0.0 { change.abs() / most } else { 0.0 }
    }

    pub(crate) fn is_at_target(&self) -> bool {
        (self.speed - self.target).abs() < 1.0
    }

    pub(crate) fn stands(&self) -> bool {
        self.speed.abs() < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_travel_arrives_without_overshoot_and_within_its_limits(
            length in 0.0_f64..500.0, limit in 1.0_f64..800.0, acceleration in 50.0_f64..5_000.0
        ) {
            let mut travel = Travel::new(length, acceleration);
            let mut before = (0.0, 0.0);
            let ideal = length / limit + limit / acceleration + 2.0 * (length / acceleration).sqrt();
            let mut seconds = 0.0;
            while !travel.has_arrived() {
                travel.advance(STEP, limit);
                seconds += STEP;
                prop_assert!(travel.velocity <= limit + 1e-9 && travel.velocity >= 0.0);
                prop_assert!(travel.done >= before.0 && travel.done <= length);
                if !travel.has_arrived() {
                    prop_assert!((travel.velocity - before.1).abs() <= acceleration * STEP + 1e-9);
                }
                before = (travel.done, travel.velocity);
                prop_assert!(seconds < ideal * 2.0 + 1.0, "it crawls");
            }
        }
    }

    #[test]
    fn a_held_move_brakes_to_a_stand_and_goes_on() {
        let mut line = Line::along(&[0.0, 0.0], &[30.0, 40.0], 500.0);
        line.advance(0.2, 50.0);
        line.advance(1.0, 0.0);
        assert!(line.velocity() < 1e-9 && !line.has_arrived());
        line.advance(5.0, 50.0);
        assert!(line.has_arrived());
        assert_eq!((line.position(0), line.position(1)), (30.0, 40.0));
    }

    #[test]
    fn a_rotor_follows_its_target_at_its_rate() {
        let mut rotor = Rotor { speed: 0.0, target: 1_000.0 };
        assert_eq!(rotor.advance(0.1, 2_000.0), 1.0);
        assert_eq!(rotor.speed, 200.0);
        rotor.advance(10.0, 2_000.0);
        assert!(rotor.is_at_target() && !rotor.stands());
    }
}
