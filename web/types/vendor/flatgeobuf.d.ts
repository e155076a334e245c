export * from "flatgeobuf/lib/mjs/geojson.js";
