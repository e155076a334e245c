export * from "leaflet";
