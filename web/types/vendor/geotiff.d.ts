export * from "geotiff";
