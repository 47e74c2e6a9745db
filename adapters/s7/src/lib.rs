//! Siemens S7 communication (S7-300/400/1200/1500 with PUT/GET): codec and session.
