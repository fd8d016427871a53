struct Late {
    Late() { vtx_log("too late"); }
};
static Late late;
