//! One file per kind of health check. A check says what it needs from the world and judges the answer; it reaches nothing itself.
