// SPDX-License-Identifier: GPL-2.0-only
struct Late {
    Late() { vtx_log("too late"); }
};
static Late late;
