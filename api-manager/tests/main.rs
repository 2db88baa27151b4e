//! The API manager's tests through its own doors.

mod gateway;
